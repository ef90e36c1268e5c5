import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const auditProviderGateCard = card({
  name: 'auditProviderGate',
  title: 'Audit the gate that providers publish through',
  area: 'listings',
  priority: 'P1',
  from: ['travel: 7.5 Provider verification gate'],
  symptoms: [
    'report or alert: something is on sale whose provider, or property profile, nobody approved',
    'the publishing gate was switched off, or a release went past it',
  ],
  impact: 'customers book with providers whom nobody has verified; each booking is one more to unwind',
  diagnosis: [
    'published listings whose provider or property profile is not approved, and which of them were published after that was decided',
    'whether the publishing gate is in force, as the configured source says',
    'what was published lately, newest first',
  ],
  resolution: [
    'suspend exactly the listings of the plan, batch by batch, and write it into the audit trail in the same transaction',
    'a listing whose provider is approved by the time its row is locked is left alone; one that somebody has locked is left alone and named',
    'a gate that is not in force is a task for a person, which ends by itself once the source says that it is',
    'verify that none of them is on sale, that health checks and smoke test hold, and in the end that nothing came past the gate meanwhile',
  ],
  prevention: [
    'one way only to a published listing, and through the gate',
    'an alert on published listings that are not approved; this runbook every night where there is none',
  ],
  escalation: [
    'more listings than the cap allows: nothing is suspended, and the run fails; where an alert or a schedule started the run, the first rung is called',
    'the gate stays out of force: those who were asked are called again along the ladder',
  ],
  changes:
    'the state of listings and rows of the audit trail; put back exactly where the run fails, but not over what somebody changed since. Bookings that were made stay as they are',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});

import { z } from 'zod';
import { card } from '../../../doors/pack';

const deploymentId = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'the ID of a deployment, as the configured list command prints it');

export const rollBackDeploymentCard = card({
  name: 'rollBackDeployment',
  title: 'Roll back a deployment',
  area: 'application',
  priority: 'P1',
  from: [
    'booking: Application Deployment',
    'assistant: Complete System Failure',
    'travel: 6 Incident Response',
  ],
  symptoms: [
    'errors, failing health checks or wrong behaviour since a deployment',
    'error rate above 5 % and a deployment within the last hour',
  ],
  impact: 'customers get errors until the version before is in front again',
  diagnosis: [
    'list the deployments: which one is in front, and which good one came before it',
    'health of the application and its error rate',
    'for an alert or another run: nothing is done when the symptom is gone meanwhile',
  ],
  resolution: [
    'choose the newest deployment that is older than the one in front, ready, and was not itself rolled back; or the one named by `deployment`',
    'wait for an approval of exactly this pair',
    'look again what is in front, then promote; doing it twice is harmless, so a lost worker does no harm',
    'verify that it is in front, that health and error rate are well, and that they stay so',
    'going back: a rollback that did not help was not the remedy, so the former deployment is put in front again and nobody finds an old version there by surprise; one that helped, but not enough, stays, because going forward would bring the errors back: a person decides',
  ],
  prevention: [
    'smoke tests before traffic is switched, and a soak after it',
    'expand and contract in separate migrations: the version before must work with the database of today',
    'a promote command that refuses a RUNBOOKS_FENCING_TOKEN lower than one it has seen: the worker cannot check a fence for it',
  ],
  escalation: [
    'nothing earlier to go back to, or a rollback that does not help: the run fails, or is taken back; where an alert or a schedule started the run, the first rung is called, for a fix forward',
    'a way back that fails or would be unsafe: NEEDS_HUMAN pages the ladder',
  ],
  changes: 'which deployment is in front of production',
  input: {
    deployment: deploymentId
      .optional()
      .describe('go back to this one; default: the good one before the current'),
    from: deploymentId
      .optional()
      .describe('only while this one is in front and the symptom lasts; set by runs that start this one'),
    measures: z
      .array(z.string().min(1).max(100))
      .max(10)
      .optional()
      .describe(
        'numbers that are the symptom too, beside errors and health; set by runs that start this one',
      ),
  },
  example: { service: 'booking', startedBy: 'ana', reason: 'errors since 1.5.0' },
});

/** Symptoms to practise on, made for real, with RUNBOOKS_CONFIG. `trouble well` has everybody answer again. */
import { deployVersion } from '../shared/deployments';
import { runTroubles, stackFolder, type Trouble } from '../shared/trouble';
import { DEFAULT_SWITCHES, readSwitches, setCalendar, setSwitches, type Switches } from './switches';

/** What is switched, and what to say then. */
function switching(ends: string, says: string, change: (folder: string) => void): Trouble {
  return {
    usage: ends,
    make: async () => {
      change(stackFolder());
      console.log(says);
    },
  };
}

const to = (changed: Partial<Switches>) => (folder: string) => void setSwitches(folder, changed);

export const troubles: Record<string, Trouble> = {
  'receiver-down': switching(
    'trouble well, then replayWebhookDeliveries sends what failed',
    'whoever listens to webhooks answers 503',
    to({ receiver: 'broken' }),
  ),
  'receiver-secret': switching(
    'trouble well, then replayWebhookDeliveries sends what failed',
    'whoever listens to webhooks has another secret, and answers 401',
    to({ receiver: 'rotated' }),
  ),
  'calendar-revoked': switching(
    'recoverCalendarSync has the links to connect again',
    'consent to read the Google calendars is withdrawn, and what they are busy with is forgotten',
    (folder) => setCalendar(folder, 'google', { revokedAt: new Date().toISOString() }),
  ),
  'calendar-down': switching('trouble well', "Microsoft's calendar answers 503", (folder) =>
    setCalendar(folder, 'microsoft', { answers: 'down' }),
  ),
  'sync-stopped': switching(
    'recoverCalendarSync syncs; trouble well starts the job again',
    'the job that reads calendars has stopped',
    (folder) => setSwitches(folder, { jobs: { ...readSwitches(folder).jobs, sync: false } }),
  ),
  'writeback-stopped': switching(
    'recoverCalendarSync writes back; trouble well starts the job again',
    'the job that enters appointments in calendars has stopped',
    (folder) => setSwitches(folder, { jobs: { ...readSwitches(folder).jobs, writeback: false } }),
  ),
  'nothing-offered': switching(
    'trouble well',
    'every calendar says that its owner is away, and nothing can be booked',
    (folder) => {
      for (const provider of ['google', 'microsoft'] as const) setCalendar(folder, provider, { away: true });
    },
  ),
  'bad-deploy': switching(
    'rollBackDeployment ends it',
    '1.5.0 is in front, which writes a column that no migration has added: no booking can be made',
    (folder) => void deployVersion(folder, '1.5.0'),
  ),
  'mail-down': switching('trouble well', 'the provider of e-mail answers 503', to({ mail: 'down' })),
  'red-ci': switching('trouble well', 'CI of main has failed', to({ ci: 'failure' })),
  // Consent that was withdrawn stays so: only its owner can give it again.
  well: switching('', 'everybody answers, and the jobs run', (folder) => {
    const { google, microsoft } = readSwitches(folder).calendars;
    const { calendars } = DEFAULT_SWITCHES;
    setSwitches(folder, {
      ...DEFAULT_SWITCHES,
      calendars: {
        google: { ...calendars.google, revokedAt: google.revokedAt },
        microsoft: { ...calendars.microsoft, revokedAt: microsoft.revokedAt },
      },
    });
  }),
};

if (require.main === module) void runTroubles(troubles);

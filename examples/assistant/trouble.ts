/** Symptoms to practise on, made for real. Those that take connections end by themselves; the others say what ends them. */
import { Client } from 'pg';
import { deployVersion } from '../shared/deployments';
import { openIdleTransactions } from '../shared/idle-transactions';
import { needVariable, runTroubles, say, stackFolder, type Trouble } from '../shared/trouble';
import { setLastBackup } from './backups';
import { DEFAULT_SWITCHES, switches, type Switches } from './switches';

/** Of those that are one change of the switches. */
function switched(usage: string, changed: () => Partial<Switches>, says: string): Trouble {
  return {
    usage,
    make: async () => {
      switches.set(stackFolder(), changed());
      console.log(says);
    },
  };
}

export const TROUBLES: Record<string, Trouble> = {
  'idle-transactions': {
    usage: '--count 26 --seconds 120 [--background]; relieveConnectionPool ends it',
    make: async ({ count, seconds }) => {
      const { pids, ended, stop } = await openIdleTransactions({
        databaseUrl: needVariable('DATABASE_URL'),
        ...{ count, forMs: seconds * 1_000 },
        ...{ applicationName: 'assistant-trouble', table: 'bookings' },
      });
      process.once('SIGINT', () => void stop()).once('SIGTERM', () => void stop());
      say(`${pids.length} transactions are open and idle; they end in ${seconds} s or when ended`);
      await ended;
    },
  },
  'bad-deploy': {
    usage: 'resolveHighErrorRate rolls it back',
    make: async () => {
      switches.set(stackFolder(), { cacheTtlSeconds: 1 });
      const { id, version } = deployVersion(stackFolder(), '2.4.0');
      console.log(`${version} is in front as ${id}, and nobody learns of free times`);
    },
  },
  'broken-feature': switched(
    'resolveHighErrorRate switches it off',
    () => ({ summaries: true }),
    'summaries are on, and every question about free times fails',
  ),
  'twilio-down': switched(
    'resolveHighErrorRate finds out, and asks somebody to call Twilio; `twilio-up` ends it',
    () => ({ down: ['twilio'] }),
    'Twilio does not answer: no call ends with a booking',
  ),
  'twilio-up': switched('ends twilio-down', () => ({ down: [] }), 'Twilio answers again'),
  'slow-queries': switched(
    'resolveSlowResponses has the cache keep more',
    () => ({ statementSeconds: 3, cacheTtlSeconds: 1 }),
    'a statement of every answer takes three seconds, and no cache helps',
  ),
  'usual-queries': switched(
    'ends slow-queries',
    () => ({ statementSeconds: 0, cacheTtlSeconds: DEFAULT_SWITCHES.cacheTtlSeconds }),
    'statements are as fast as ever',
  ),
  'tight-limit': switched(
    'adjustRateLimits shows who is refused, and raises the limit',
    () => ({ requestsPerSecond: 1 }),
    'one request a second is served, and all others are refused',
  ),
  leak: switched(
    'relieveMemoryPressure restarts; ends after ten minutes',
    () => ({ leakSince: Date.now() }),
    'three megabytes a second are lost, 450 at most, until a restart',
  ),
  'busy-processor': switched(
    'relieveCpuSpike scales up; ends after ten minutes',
    () => ({ busySince: Date.now() }),
    'nearly a whole processor is busy, and more instances would share that',
  ),
  'missed-backup': {
    usage: 'backUpDatabase ends it',
    make: async () => {
      setLastBackup(stackFolder(), 72);
      console.log('the platform has made no backup for three days');
    },
  },
  'lost-messages': {
    usage:
      '--count 5, with DATABASE_URL=$ASSISTANT_DATABASE_URL, after a backup; recoverFromCorruption ends it',
    make: async ({ count }) => {
      const lost = await loseMessages(needVariable('DATABASE_URL'), count);
      console.log(`${lost} texts to callers are gone, and their bookings are still there`);
    },
  },
};

async function loseMessages(connectionString: string, count: number): Promise<number> {
  const client = new Client({ connectionString, application_name: 'assistant-trouble' });
  await client.connect();
  try {
    const { rowCount } = await client.query(
      `DELETE FROM messages WHERE id IN (SELECT messages.id FROM messages JOIN bookings ON bookings.id = booking_id
         WHERE status = 'confirmed' ORDER BY messages.id LIMIT $1)`,
      [count],
    );
    return rowCount ?? 0;
  } finally {
    await client.end();
  }
}

if (require.main === module) void runTroubles(TROUBLES);

/** Symptoms to practise on, made for real. Those that take connections end by themselves; the others say how. */
import { fork } from 'node:child_process';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { deployVersion } from './deployments';
import { forgeSessions } from './forge';
import { failDeliveries, leaveHolds, openGate, sellTwice } from './spoil';
import { chargeTwice, loseWebhook } from './spoil-payments';
import { setSwitches } from './switches';

export interface IdleTransactions {
  /** Process IDs of the sessions on the server. */
  pids: number[];
  /** Resolves when every session is gone, whoever ended it. */
  ended: Promise<void>;
  stop: () => Promise<void>;
}

/**
 * Opens transactions that read once and are then forgotten, as by a report whose program hangs: each keeps a connection
 * and a snapshot. Opens fewer than `count` where the role may not have more. They end after `forMs`.
 */
export async function openIdleTransactions(options: {
  databaseUrl: string;
  count: number;
  forMs: number;
  applicationName?: string;
}): Promise<IdleTransactions> {
  const { databaseUrl, count, forMs, applicationName = 'booking-trouble' } = options;
  const sessions: { pid: number; client: Client; gone: Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    clearTimeout(timer);
    await Promise.all(sessions.map(({ client }) => client.end().catch(() => undefined)));
  };
  const timer = setTimeout(() => void stop(), forMs);
  try {
    while (sessions.length < count) {
      const session = await forgetTransaction(databaseUrl, applicationName);
      if (session === undefined) break;
      sessions.push(session);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const ended = Promise.all(sessions.map(({ gone }) => gone)).then(() => clearTimeout(timer));
  return { pids: sessions.map(({ pid }) => pid), ended, stop };
}

/** Undefined: the role has all the connections that it may have. */
async function forgetTransaction(connectionString: string, applicationName: string) {
  const client = new Client({ connectionString, application_name: applicationName });
  // It is here to be ended by others.
  client.on('error', () => undefined);
  const gone = new Promise<void>((resolve) => client.once('end', resolve));
  try {
    await client.connect();
    await client.query('BEGIN');
    const { rows } = await client.query<{ pid: number }>(
      'SELECT pg_backend_pid() AS pid, count(*) FROM slots',
    );
    return { pid: rows[0]!.pid, client, gone };
  } catch (error) {
    await client.end().catch(() => undefined);
    if ((error as { code?: string }).code === TOO_MANY_CONNECTIONS) return undefined;
    throw error;
  }
}

const TOO_MANY_CONNECTIONS = '53300';

/** The sample counts a transaction as forgotten after five seconds. */
const FORGOTTEN_MS = 6_000;

/** Makes the trouble in a process of its own, and returns when it is there. */
async function inBackground(args: string[]): Promise<void> {
  const child = fork(__filename, args, { detached: true, stdio: 'ignore' });
  const said = await new Promise<string>((resolve, reject) => {
    child.once('message', (said) => resolve(said as string));
    child.once('exit', () => reject(new Error('it ended at once; without --background it says why')));
  });
  await new Promise((resolve) => setTimeout(resolve, FORGOTTEN_MS));
  console.log(said);
  child.disconnect();
  child.unref();
}

/** To the terminal, and to whoever put this in the background. */
function say(text: string): void {
  console.log(text);
  if (process.connected) process.send?.(text);
}

interface Trouble {
  /** For the usage text. */
  usage: string;
  make: (options: { count: number; seconds: number }) => Promise<void>;
}

const troubles: Record<string, Trouble> = {
  'idle-transactions': {
    usage: "--count 12 --seconds 120 [--background], with the application's DATABASE_URL",
    make: async ({ count, seconds }) => {
      const { pids, ended, stop } = await openIdleTransactions({
        databaseUrl: needVariable('DATABASE_URL'),
        count,
        forMs: seconds * 1_000,
      });
      process.once('SIGINT', () => void stop()).once('SIGTERM', () => void stop());
      say(`${pids.length} transactions are open and idle; they end in ${seconds} s or when ended`);
      await ended;
      console.log('all of them are gone');
    },
  },
  'bad-deploy': {
    usage:
      'with RUNBOOKS_CONFIG; in the folder of that: DEPLOYMENT_ID=dep-2 node .../deploy.js promote ends it',
    make: async () => {
      const { id, version } = deployVersion(stackFolder(), '1.5.0');
      console.log(`${version} is in front as ${id}, and every search fails`);
    },
  },
  'broken-feature': {
    usage:
      'with RUNBOOKS_CONFIG; in the folder of that: node .../switches.js feature recommendations off ends it',
    make: async () => {
      setSwitches(stackFolder(), { recommendations: true });
      console.log('recommendations are on, and every search fails');
    },
  },
  'double-bookings': {
    usage: "--count 3, with the owner's DATABASE_URL; resolveDoubleBookings ends it",
    make: async ({ count }) => {
      const slots = await sellTwice(needVariable('DATABASE_URL'), count);
      console.log(`slots ${slots.join(', ')} are sold twice, and the index that forbids it is gone`);
    },
  },
  'stuck-holds': {
    usage: "--count 5, with the owner's DATABASE_URL and RUNBOOKS_CONFIG; releaseStuckHolds ends it",
    make: async ({ count }) => {
      setSwitches(stackFolder(), { cronSchedule: '' });
      const holds = await leaveHolds(needVariable('DATABASE_URL'), count);
      console.log(`${holds.length} holds ran out, and the job that releases them has stopped`);
    },
  },
  'open-gate': {
    usage: "--count 3, with the owner's DATABASE_URL; auditProviderGate ends it, with a task",
    make: async ({ count }) => {
      const listings = await openGate(needVariable('DATABASE_URL'), count);
      console.log(
        `listings ${listings.join(', ')} of a provider whom nobody approved are on sale, and the gate is off`,
      );
    },
  },
  'lost-webhook': {
    usage: "with the owner's DATABASE_URL and RUNBOOKS_CONFIG; reconcilePayment ends it",
    make: async () => {
      const { booking, payments } = await loseWebhook(needVariable('DATABASE_URL'), stackFolder());
      console.log(
        `payment ${payments[0]} of booking ${booking} was taken, and the application calls it failed`,
      );
    },
  },
  'charged-twice': {
    usage: "with the owner's DATABASE_URL and RUNBOOKS_CONFIG; reconcilePayment ends it",
    make: async () => {
      const { booking, payments } = await chargeTwice(needVariable('DATABASE_URL'), stackFolder());
      console.log(`booking ${booking} was paid twice, by payments ${payments.join(' and ')}`);
    },
  },
  'slow-search': {
    usage: 'with RUNBOOKS_CONFIG; in the folder of that: node .../switches.js interest default ends it',
    make: async () => {
      setSwitches(stackFolder(), { interestSeconds: 3, cacheTtlSeconds: 0 });
      console.log('a statement of the searches takes three seconds, and no cache keeps its answer');
    },
  },
  'busy-search': {
    usage:
      'with RUNBOOKS_CONFIG; ends after ten minutes; in the folder of that: node .../switches.js load default',
    make: async () => {
      setSwitches(stackFolder(), { loadSeconds: 3 });
      console.log('each search keeps the processor busy for three seconds');
    },
  },
  'busy-processor': {
    usage:
      'with RUNBOOKS_CONFIG; ends after ten minutes; in the folder of that: node .../switches.js busy off',
    make: async () => {
      setSwitches(stackFolder(), { busySince: Date.now() });
      console.log('nearly a whole processor is busy, and more instances would share that');
    },
  },
  runaway: {
    usage:
      'with RUNBOOKS_CONFIG; ends after ten minutes; in the folder of that: node .../switches.js runaway off',
    make: async () => {
      setSwitches(stackFolder(), { runawaySince: Date.now() });
      console.log('a loop keeps a processor busy, until a restart');
    },
  },
  leak: {
    usage:
      'with RUNBOOKS_CONFIG; ends after ten minutes; in the folder of that: node .../switches.js leak off',
    make: async () => {
      setSwitches(stackFolder(), { leakSince: Date.now() });
      console.log('three megabytes a second are lost, 450 at most, until a restart');
    },
  },
  'failed-webhooks': {
    usage: "--count 30, with the owner's DATABASE_URL; replayWebhookDeliveries ends it",
    make: async ({ count }) => {
      const deliveries = await failDeliveries(needVariable('DATABASE_URL'), count);
      console.log(`${deliveries.length} webhooks failed once, and nobody sends them again`);
    },
  },
  'forged-sessions': {
    usage:
      '--count 12, with BOOKING_APP_URL and RUNBOOKS_CONFIG; containSecurityIncident keeps the address out',
    make: async ({ count }) => {
      const who = { url: needVariable('BOOKING_APP_URL'), from: '203.0.113.7', count };
      const answers = await forgeSessions(stackFolder(), who);
      console.log(
        `203.0.113.7 tried ${count} sessions that nobody issued; the last answer is ${answers.at(-1)}`,
      );
    },
  },
  'tight-limit': {
    usage: 'with RUNBOOKS_CONFIG; in the folder of that: node .../switches.js limit default ends it',
    make: async () => {
      setSwitches(stackFolder(), { requestsPerSecond: 1 });
      console.log('one request a second is served, and all others are refused');
    },
  },
  'lost-cron': {
    usage: 'with RUNBOOKS_CONFIG; in the folder of that: node .../switches.js cron default ends it',
    make: async () => {
      setSwitches(stackFolder(), { cronSchedule: '' });
      console.log('the platform has no schedule for expire-bookings any more, and holds do not expire');
    },
  },
  'idle-cron': {
    usage: 'with RUNBOOKS_CONFIG; in the folder of that: node .../switches.js cron default ends it',
    make: async () => {
      setSwitches(stackFolder(), { expiryWorks: false });
      console.log('expire-bookings answers 200 and does nothing, and holds do not expire');
    },
  },
};

/** Where deployments and switches are: beside the configuration. */
function stackFolder(): string {
  return dirname(needVariable('RUNBOOKS_CONFIG'));
}

function needVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      count: { type: 'string', default: '12' },
      seconds: { type: 'string', default: '120' },
      background: { type: 'boolean', default: false },
    },
  });
  const trouble = troubles[positionals[0] ?? ''];
  if (trouble === undefined) {
    const known = Object.entries(troubles).map(([name, { usage }]) => `  ${name} ${usage}`);
    throw new Error(`which trouble?\n${known.join('\n')}`);
  }
  if (values.background)
    return inBackground(process.argv.slice(2).filter((argument) => argument !== '--background'));
  await trouble.make({
    count: wholeNumber('count', values.count),
    seconds: wholeNumber('seconds', values.seconds),
  });
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > 3_600)
    throw new Error(`--${name} must be a whole number from 1 to 3600, got ${text}`);
  return value;
}

if (require.main === module) {
  main().catch((error: Error) => {
    console.error(`No trouble was made: ${error.message}`);
    process.exit(1);
  });
}

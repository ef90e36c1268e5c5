/** Symptoms to practise on, made for real. Those that take connections end by themselves; the others say how. */
import { openIdleTransactions as open, type IdleTransactions } from '../shared/idle-transactions';
import { needVariable, runTroubles, say, stackFolder, type Trouble } from '../shared/trouble';
import { deployVersion } from './deployments';
import { forgeSessions } from './forge';
import { failDeliveries, leaveHolds, openGate, sellTwice } from './spoil';
import { chargeTwice, loseWebhook } from './spoil-payments';
import { setSwitches } from './switches';

export type { IdleTransactions };

/** As by a report on the slots whose program hangs. */
export function openIdleTransactions(options: {
  databaseUrl: string;
  count: number;
  forMs: number;
  applicationName?: string;
}): Promise<IdleTransactions> {
  return open({ applicationName: 'booking-trouble', table: 'slots', ...options });
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

if (require.main === module) void runTroubles(troubles);

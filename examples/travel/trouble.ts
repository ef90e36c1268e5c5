/** Symptoms to practise on, made for real. `calm` ends those that do not end by themselves. */
import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '../shared/database';
import { deployVersion } from '../shared/deployments';
import { needVariable, runTroubles, say, stackFolder, type Trouble } from '../shared/trouble';
import { BAD_RELEASE } from './bookings';
import { changeKeys } from './keys';
import { resetSwitches, switches, type Switches } from './switches';
import { hold, newCustomer, pay, type Customer } from './traffic';

/** Longer than the application takes to notice a switch. */
const NOTICED_MS = 700;
const ADDRESS = '192.0.2.10';

const appUrl = (): string => needVariable('TRAVEL_APP_URL');
const asOwner = <T extends object>(statement: string): Promise<T[]> =>
  withClient(needVariable('TRAVEL_PRODUCTION_URL'), async (client) => {
    const results = await client.query<T>(statement);
    return results.rows;
  });

async function turn(changed: Partial<Switches>): Promise<void> {
  switches.set(stackFolder(), changed);
  await sleep(NOTICED_MS);
}

const switched = (changed: Partial<Switches>, usage: string, symptom: string): Trouble => ({
  usage,
  make: async () => {
    await turn(changed);
    console.log(symptom);
  },
});

/** A departure that nobody has booked yet. */
async function freeDeparture(): Promise<{ packageId: string; unitId: string }> {
  const [found] = await asOwner<{ packageId: string; unitId: string }>(
    `SELECT "packageId", id AS "unitId" FROM inventory_units u WHERE sold = 0 AND NOT EXISTS (
       SELECT FROM inventory_locks WHERE "unitId" = u.id) ORDER BY id DESC LIMIT 1`,
  );
  if (found === undefined) throw new Error('every departure has bookings: start the example anew');
  return found;
}

/** Holds for a departure, at the same moment. Returns those that were given. */
async function holdAtOnce(one: Customer, count: number): Promise<{ id: string }[]> {
  const { packageId, unitId } = await freeDeparture();
  const held = await Promise.allSettled(Array.from({ length: count }, () => hold(one, packageId, unitId)));
  return held.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

/** More customers than there are units confirm at the same moment, and no row is locked. Returns how many got one. */
async function oversell(count: number): Promise<number> {
  await turn({ inventoryLocks: 'off' });
  try {
    const one = await newCustomer(appUrl(), ADDRESS);
    const held = await holdAtOnce(one, count);
    const confirmed = await Promise.allSettled(held.map(({ id }) => one.ask(`/bookings/${id}/confirm`, {})));
    return confirmed.filter(({ status }) => status === 'fulfilled').length;
  } finally {
    await turn({ inventoryLocks: 'on' });
  }
}

const TROUBLES: Record<string, Trouble> = {
  'stuck-holds': {
    usage: '--count 5: the worker that has holds expire is stopped; releaseStuckHolds ends it',
    make: async ({ count }) => {
      await turn({ holdExpiry: 'off' });
      const held = await holdAtOnce(await newCustomer(appUrl(), ADDRESS), Math.min(count, 8));
      const ids = held.map(({ id }) => `'${id}'`).join(', ');
      await asOwner(`UPDATE bookings SET "expiresAt" = now() - interval '10 minutes' WHERE id IN (${ids})`);
      console.log(`${held.length} holds ran out, and the worker that releases them is stopped`);
    },
  },
  oversold: {
    usage: '--count 12: departures are sold for a moment without a row lock; auditInventory finds it',
    make: async ({ count }) => {
      const sold = await oversell(count);
      console.log(`${sold} bookings are confirmed of a departure with 8 places`);
    },
  },
  'payment-secret': {
    usage:
      '--count 5: events of payments are refused; mend it with `trouble calm`, replayPaymentWebhooks does the rest',
    make: async ({ count }) => {
      const bookings = await asOwner<{ id: string; priceCents: number }>(
        `SELECT id, "priceCents" FROM bookings WHERE status = 'CONFIRMED' ORDER BY "createdAt" DESC LIMIT ${count}`,
      );
      if (bookings.length === 0) throw new Error('nobody has booked yet: try again in ten seconds');
      await turn({ paymentSecret: 'wrong' });
      for (const booking of bookings) await pay(appUrl(), needVariable('TRAVEL_PAYMENTS_SECRET'), booking);
      console.log(`${bookings.length} payments came in, and the application refuses their signatures`);
    },
  },
  'search-down': switched(
    { search: 'down' },
    'nobody reaches Meilisearch until `trouble calm`; recoverSearchIndexing waits for that',
    'Meilisearch is down; what is booked now is not indexed',
  ),
  'mail-down': switched(
    { mail: 'down' },
    'jobs of `notifications` fail until `trouble calm`; drainQueueBacklog retries them',
    'the mail server refuses every connection, and notifications fail',
  ),
  'slow-mail': {
    usage: '--count 60: each notification takes five seconds; drainQueueBacklog starts more workers',
    make: async ({ count }) => {
      await turn({ mail: 'slow' });
      const one = await newCustomer(appUrl(), ADDRESS);
      for (let left = count; left > 0; left -= 8) {
        const held = await holdAtOnce(one, Math.min(left, 8));
        await Promise.all(held.map(({ id }) => one.ask(`/bookings/${id}/confirm`, {})));
      }
      console.log(`${count} notifications wait for a mail server that takes five seconds for each`);
    },
  },
  unapproved: {
    usage: '--count 2: packages of a provider whom nobody approved are published; auditProviderGate ends it',
    make: async ({ count }) => {
      await asOwner(`ALTER TABLE packages DISABLE TRIGGER packages_gate`);
      await asOwner(
        `WITH applicant AS (INSERT INTO providers (name, "decidedAt") VALUES ('Unknown Tours', now()) RETURNING id
         ), place AS (INSERT INTO properties ("providerId", name) SELECT id, 'Unknown Inn' FROM applicant RETURNING id, "providerId")
         INSERT INTO packages ("providerId", "propertyId", title, place, "priceCents", status, "publishedAt")
         SELECT "providerId", id, 'Bargain ' || n, 'Nowhere', 900, 'published', now() FROM place, generate_series(1, ${count}) n`,
      );
      console.log(`${count} packages are on sale whose provider and property nobody has approved`);
    },
  },
  'shared-office': switched(
    { sharedOffice: 'busy' },
    'many customers behind one address until `trouble calm`; adjustRateLimits asks whether to exempt it',
    '203.0.113.7 is an office full of customers, and most of their requests are refused',
  ),
  'slow-packages': switched(
    { packages: 'slow' },
    'the list of packages takes half a second until `trouble calm`',
    'the statement behind the list of packages takes half a second',
  ),
  'bad-deploy': {
    usage: `release ${BAD_RELEASE} reads a column that no migration has added; rollBackDeployment ends it`,
    make: async () => {
      const { id, version } = deployVersion(stackFolder(), BAD_RELEASE);
      await sleep(NOTICED_MS);
      console.log(`${version} is in front as ${id}, and nobody can list packages`);
    },
  },
  'lock-waits': {
    usage:
      '--seconds 60: a forgotten transaction keeps all departures locked, and ends by itself; relieveConnectionPool ends it sooner',
    make: ({ seconds }) =>
      withClient(needVariable('DATABASE_URL'), async (client) => {
        client.on('error', () => undefined);
        await client.query('BEGIN');
        await client.query('SELECT FROM inventory_units FOR UPDATE');
        say(`a transaction keeps all departures locked for ${seconds} s, and holds fail`);
        const gone = new Promise<void>((resolve) => client.once('end', resolve));
        await Promise.race([gone, sleep(seconds * 1_000)]);
      }),
  },
  'old-secret': {
    usage: 'the secret that signs logins is 100 days old; rotateSecrets ends it',
    make: async () => console.log(await changeKeys(['age', '100'], stackFolder())),
  },
  calm: {
    usage: 'every switch as usual, and the gate of providers in force',
    make: async () => {
      resetSwitches(stackFolder());
      await asOwner('ALTER TABLE packages ENABLE TRIGGER packages_gate');
      console.log('every switch is as usual');
    },
  },
};

export const TROUBLE_NAMES = Object.keys(TROUBLES);

/** For tests: without a process of its own. */
export const makeTrouble = (name: string, count = 5): Promise<void> =>
  TROUBLES[name]!.make({ count, seconds: 30 });

if (require.main === module) void runTroubles(TROUBLES);

import { setTimeout as sleep } from 'node:timers/promises';
import { readProviderState } from '../../examples/booking/payment-provider';
import { failDeliveries, leaveHolds, openGate, sellTwice, shutGate } from '../../examples/booking/spoil';
import { chargeTwice, loseWebhook } from '../../examples/booking/spoil-payments';
import { readSwitches, setSwitches } from '../../examples/booking/switches';
import type { RepairKind, RunPlan } from './draw';
import type { Repair } from './facts';
import type { Struck } from './faults';
import type { World } from './world';

/** What a run is to mend, how one looks afterwards, and what people do about the rest of it. */
export interface Trouble {
  input: Record<string, unknown>;
  look: (struck: Struck[]) => Promise<Omit<Repair, 'workflowId'>[]>;
  mend: () => Promise<unknown>;
}

/** More than one batch of each, so that a fault can come between two. */
const SOLD_TWICE = 3;
const HOLDS = 5;
const LISTINGS = 5;
const DELIVERIES = 45;
/** What a round was claimed by that nobody ended is due again after about a quarter of a minute. */
const RECEIVER_MS = 1_000;
/** Twice what `shorten` says of the job. */
const STALE_MS = 2_500;

export const TROUBLES: Record<RepairKind, (world: World, plan: RunPlan) => Promise<Trouble>> = {
  'resolve double bookings': async (world) => {
    const slots = await sellTwice(owner(world), SOLD_TWICE);
    const sold = await world.sql<{ id: string; slot: string }>(
      `SELECT id::text, slot_id::text AS slot FROM bookings WHERE status = 'confirmed' AND slot_id IN (${slots.join()})`,
    );
    const bookings = sold.map(({ id }) => id);
    return {
      input: {},
      look: async () => {
        const confirmed = await statesOf(world, 'bookings', bookings);
        const ended = await auditOf(world, bookings, 'booking_cancelled', 'booking_restored');
        const bySlot = slots.map((slot) => {
          const own = bookings.filter((id) => sold.some((one) => one.id === id && one.slot === slot));
          const left = own.filter((id) => confirmed.get(id) === 'confirmed').length;
          return {
            what: `slot ${slot}, sold ${own.length} times,`,
            state: left === own.length ? ('as before' as const) : left === 1 ? ('mended' as const) : 'half',
            times: own.reduce((sum, id) => sum + (ended.get(id) ?? 0), 0),
          } satisfies Omit<Repair, 'workflowId'>;
        });
        const index = await world.sql(
          `SELECT FROM pg_index WHERE indexrelid = to_regclass('${INDEX}') AND indisvalid`,
        );
        return [
          ...bySlot,
          { what: `index ${INDEX}`, state: index.length > 0 ? 'mended' : 'as before', times: undefined },
        ];
      },
      mend: () =>
        world.sql(
          `UPDATE action_tokens SET used_at = now() WHERE used_at IS NULL AND booking_id IN (${again(slots)});
           UPDATE bookings SET status = 'cancelled' WHERE id IN (${again(slots)});
           CREATE UNIQUE INDEX IF NOT EXISTS ${INDEX} ON bookings (slot_id) WHERE status = 'confirmed'`,
        ),
    };
  },

  'release stuck holds': async (world) => {
    setSwitches(world.app.directory, { cronSchedule: '' });
    const holds = await leaveHolds(owner(world), HOLDS);
    return {
      input: {},
      look: async () =>
        byRow(
          'hold',
          await statesOf(world, 'bookings', holds),
          await auditOf(world, holds, 'booking_expired', 'booking_restored'),
          { before: 'held', mended: 'expired' },
        ),
      mend: () => world.sql('SELECT expire_held_bookings()'),
    };
  },

  'recover cron': async ({ app }) => {
    setSwitches(app.directory, { cronSchedule: '' });
    await sleep(STALE_MS);
    return {
      input: { job: 'expire-bookings' },
      look: async () => {
        const { cronSchedule } = readSwitches(app.directory);
        return [
          {
            what: 'the schedule of expire-bookings',
            state: cronSchedule === '' ? 'as before' : 'mended',
            times: undefined,
          },
        ];
      },
      // Every switch is put back after a round.
      mend: async () => undefined,
    };
  },

  'replay webhooks': async (world) => {
    const { app, sql } = world;
    app.options.webhookTimeoutMs = RECEIVER_MS;
    const deliveries = await failDeliveries(owner(world), DELIVERIES);
    return {
      input: {},
      look: async (struck) => {
        const rows = await sql<{ id: string; status: string; attempts: number }>(
          `SELECT id::text, status::text, attempts FROM webhook_deliveries WHERE id IN (${deliveries.join()})`,
        );
        // Without its database the application cannot write down that it has sent something, and sends it again.
        const forgets = struck.some(({ kind }) => kind === 'PostgreSQL stopped at once');
        const taken = app.receiver.received().filter(({ status }) => status === 200);
        return rows.map(({ id, status, attempts }) => {
          const times = taken.filter(({ delivery }) => delivery === id).length;
          const untouched = status === 'pending' && attempts === 1;
          return {
            what: `delivery ${id}`,
            state: status === 'succeeded' ? 'mended' : untouched ? 'as before' : 'half',
            times: forgets ? undefined : times,
          };
        });
      },
      mend: () => sql(`DELETE FROM webhook_deliveries WHERE id IN (${deliveries.join()})`),
    };
  },

  'audit provider gate': async (world) => {
    const listings = await openGate(owner(world), LISTINGS);
    await shutGate(owner(world));
    return {
      input: {},
      look: async () =>
        byRow(
          'listing',
          await statesOf(world, 'listings', listings),
          await auditOf(world, listings, 'listing_suspended', 'listing_restored'),
          { before: 'published', mended: 'suspended' },
        ),
      mend: () =>
        world.sql(
          `UPDATE listings SET status = 'suspended' WHERE status = 'published' AND id IN (${listings.join()})`,
        ),
    };
  },

  'reconcile payment': async (world, { twice }) => {
    const spoil = twice === true ? chargeTwice : loseWebhook;
    const { booking, payments } = await spoil(owner(world), world.app.directory);
    const payment = payments.at(-1)!;
    const [row] = await world.sql<{ ref: string }>(
      `SELECT provider_ref AS ref FROM payments WHERE id = '${payment}'`,
    );
    return {
      input: { booking },
      look: async () => {
        const { refunds, messages } = readProviderState(world.app.directory);
        const [given] = twice === true ? ['payment_refunded'] : ['payment_reconciled'];
        const rows = byRow(
          'payment',
          await statesOf(world, 'payments', [payment]),
          await auditOf(world, [payment], given, 'payment_restored'),
          twice === true
            ? { before: 'succeeded', mended: 'refunded' }
            : { before: 'failed', mended: 'succeeded' },
        );
        const told = Object.values(messages).filter((one) => one.payment === payment).length;
        const back = Object.values(refunds).filter(({ intent }) => intent === row!.ref).length;
        const counted = (what: string, times: number): Omit<Repair, 'workflowId'> => ({
          what: `${what} of payment ${payment}`,
          state: times > 0 ? 'mended' : 'as before',
          times,
        });
        return [...rows, counted('a message', told), ...(twice === true ? [counted('a refund', back)] : [])];
      },
      mend: async () => undefined,
    };
  },
};

const INDEX = 'idx_bookings_one_confirmed_per_slot';

const owner = ({ driver }: World): string => driver.stack.booking.environment['BOOKING_PRODUCTION_URL']!;

/** All but the first of each slot. */
const again = (slots: string[]): string =>
  `SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY slot_id ORDER BY confirmed_at, id) AS place FROM bookings
     WHERE status = 'confirmed' AND slot_id IN (${slots.join()})) AS sold WHERE place > 1`;

const quoted = (ids: string[]): string => ids.map((id) => `'${id}'`).join();

async function statesOf(
  { sql }: World,
  table: 'bookings' | 'listings' | 'payments',
  ids: string[],
): Promise<Map<string, string>> {
  const rows = await sql<{ id: string; status: string }>(
    `SELECT id::text, status::text FROM ${table} WHERE id::text IN (${quoted(ids)})`,
  );
  return new Map(rows.map(({ id, status }) => [id, status]));
}

/** How often each was done by the trail, less how often that was taken back. */
async function auditOf(
  { sql }: World,
  ids: string[],
  done: string,
  takenBack: string,
): Promise<Map<string, number>> {
  const rows = await sql<{ id: string; times: number }>(
    `SELECT entity_id AS id, sum(CASE action WHEN '${done}' THEN 1 ELSE -1 END)::int AS times FROM audit_logs
      WHERE source = 'system' AND action IN ('${done}', '${takenBack}') AND entity_id IN (${quoted(ids)}) GROUP BY 1`,
  );
  return new Map(rows.map(({ id, times }) => [id, times]));
}

function byRow(
  name: string,
  found: Map<string, string>,
  trail: Map<string, number>,
  { before, mended }: { before: string; mended: string },
): Omit<Repair, 'workflowId'>[] {
  return [...found].map(([id, status]) => ({
    what: `${name} ${id}`,
    state: status === mended ? 'mended' : status === before ? 'as before' : 'half',
    times: trail.get(id) ?? 0,
  }));
}

import type { Client } from 'pg';
import { RELEASE_STEP, type HoldRequest } from '../../contract/bookings';
import type { Place } from '../../contract/place';
import { inBatches, type BatchResult, type Repaired, type RepairInput } from '../postgres/repair/batches';
import { changedBefore, type LogEntry } from '../postgres/repair/change-log';
import { lockRows } from '../postgres/repair/lock-rows';
import { instantParameter, instantText, valueParameter } from '../postgres/repair/mapping';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import type { State } from './unconfigured';
import { lookAtBookings, type Looked } from './look';
import { bookingsOf, type BookingsConfig } from './settings';
import { endBookings, lockSlots } from './slots';
import { need, readBookingTables, writeAudit, type BookingTables } from './tables';

export interface StuckHolds extends Looked {
  /** Holds that ended before `cutoff` and are still holds. */
  count: number;
  /** ISO time, by the clock of the database; the run keeps to it. */
  cutoff: string;
  /** ISO time at which the first of them ended; null where there is none. */
  since: string | null;
  /** The first of them. */
  sample: string[];
  /** Of those, for their idempotency keys. */
  requests?: HoldRequest[];
  /** Holds whose request has made another one of these as well; null where rows have no key of it. */
  repeated?: number | null;
  graceSeconds: number;
  maxHolds: number;
}

export interface ReleaseInput extends RepairInput {
  cutoff: string;
  /** No more than that many: as many as the plan says. */
  most: number;
}

const STATES: State[] = ['held', 'confirmed', 'expired', 'open', 'reserved'];
const SAMPLE = 10;
const MAX_KEY = 200;

interface Hold {
  key: string;
  slot: string | null;
  unit: string;
}

/** Holds that ran out and still keep their slot, and an end to it. */
export function createStuckHoldActivities(deps: ActivityDeps) {
  return {
    /**
     * Counts them, those since `cutoff` where it is given. Reads only. Throws MappingInvalid, RepairRoleInvalid,
     * TooManyTargets, WrongDatabase, DatabaseUnreachable.
     */
    async findStuckHolds(place: Place & { cutoff?: string }): Promise<StuckHolds> {
      const looking = { action: 'look for stuck holds', states: STATES };
      return lookAtBookings(deps, place, looking, async (client, tables, config) => ({
        ...(await countHolds(client, tables, config, place)),
        graceSeconds: config.graceSeconds,
        maxHolds: config.maxHolds,
      }));
    },

    /**
     * Ends holds that ran out before `cutoff`, opens their slots and writes it down, in one transaction a batch. One that is
     * confirmed by then, or prolonged, is left alone: whether it is still a hold is asked again when its row is locked.
     * Safe to retry. Throws EmptySelection, StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async releaseStuckHolds(input: ReleaseInput): Promise<Repaired> {
      const config = bookingsOf(deps, input.service);
      if (input.most < 1 || input.most > config.maxHolds)
        throw fail(
          'EmptySelection',
          `The plan names ${input.most} holds, which is no number that may be released. Nothing was changed.`,
        );
      const log = { run: input.run, step: RELEASE_STEP };
      let tables: BookingTables;
      return inBatches<Hold>(
        deps,
        input,
        {
          role: config.role,
          batchRows: config.batchRows,
          action: 'release stuck holds',
          step: RELEASE_STEP,
        },
        async (client) => {
          tables = await readBookingTables(client, input.service, config);
          const before = await changedBefore(client, log, tables.bookings);
          const most = input.most - before.size;
          const items = most > 0 ? await listHolds(client, tables, config, input, most) : [];
          return { items, weigh: () => 1, doneBefore: before.size };
        },
        (client, items) => releaseBatch(client, { log, tables, config, input }, items),
      );
    },
  };
}

/** `t` is in the state $`first` and ran out before the parameter after that. */
function stuck({ bookings: { columns } }: BookingTables, service: string, first = 1): string {
  const expiresAt = need(columns.expiresAt, service, 'expiresAt');
  return `t.${columns.status.name} = ${valueParameter(first, columns.status)} AND t.${expiresAt.name} <= ${instantParameter(first + 1, expiresAt)}`;
}

async function countHolds(
  client: Client,
  tables: BookingTables,
  { states, graceSeconds, maxHolds }: BookingsConfig,
  { service, environment, cutoff: given }: Place & { cutoff?: string },
): Promise<Pick<StuckHolds, 'count' | 'cutoff' | 'since' | 'sample' | 'requests' | 'repeated'>> {
  const { bookings } = tables;
  const { id, createdAt, idempotencyKey: key } = bookings.columns;
  const expiresAt = need(bookings.columns.expiresAt, service, 'expiresAt');
  const { rows: clock } = await client.query<{ cutoff: string }>(
    `SELECT to_char(now() AT TIME ZONE 'UTC' - make_interval(secs => $1), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS cutoff`,
    [graceSeconds],
  );
  const cutoff = given ?? clock[0]!.cutoff;
  const { rows } = await client.query<HoldRequest & { since: string }>(
    `SELECT t.${id.name}::text AS booking, ${instantText(expiresAt, 't')} AS since, ${instantText(createdAt, 't')} AS "createdAt",
            ${key === undefined ? 'NULL' : `left(t.${key.name}::text, ${MAX_KEY})`} AS key FROM ${bookings.name} t
      WHERE ${stuck(tables, service)} ORDER BY t.${expiresAt.name} LIMIT $3`,
    [states.held, cutoff, maxHolds + 1],
  );
  if (rows.length > maxHolds)
    throw fail(
      'TooManyTargets',
      `More than ${maxHolds} holds of ${service}/${environment} ran out and were not released, which is the most that bookings.maxHolds allows. Nothing was changed: find out why first.`,
    );
  const requests = rows.slice(0, SAMPLE).map(({ since: _, ...request }) => request);
  const keys = rows.flatMap((row) => row.key ?? []);
  return {
    count: rows.length,
    cutoff,
    since: rows[0]?.since ?? null,
    sample: requests.map(({ booking }) => booking),
    requests,
    repeated: key === undefined ? null : keys.length - new Set(keys).size,
  };
}

/** Without a lock; each batch asks again. */
async function listHolds(
  client: Client,
  tables: BookingTables,
  { states }: BookingsConfig,
  { service, cutoff }: ReleaseInput,
  most: number,
): Promise<Hold[]> {
  const { name, columns } = tables.bookings;
  const { rows } = await client.query<{ key: string; slot: string | null }>(
    `SELECT t.${columns.id.name}::text AS key, t.${columns.slot.name}::text AS slot FROM ${name} t
      WHERE ${stuck(tables, service)} ORDER BY t.${need(columns.expiresAt, service, 'expiresAt').name} LIMIT $3`,
    [states.held, cutoff, most],
  );
  return rows.map((row) => ({ ...row, unit: row.slot === null ? `booking ${row.key}` : `slot ${row.slot}` }));
}

interface Release {
  log: LogEntry;
  tables: BookingTables;
  config: BookingsConfig;
  input: ReleaseInput;
}

async function releaseBatch(
  client: Client,
  { log, tables, config, input }: Release,
  items: Hold[],
): Promise<BatchResult<Hold>> {
  // Whether it is still one is asked again when its row is locked.
  const { got, locked } = await lockRows(client, tables.bookings, {
    keys: items.map(({ key }) => key),
    strength: 'NO KEY UPDATE',
    where: stuck(tables, input.service, 2),
    parameters: [config.states.held, input.cutoff],
  });
  const missing = items.filter(({ key }) => !got.has(key));
  const mine = items.filter(({ key }) => got.has(key));
  const slots = await lockSlots(client, tables, [...new Set(mine.flatMap(({ slot }) => slot ?? []))]);
  const good = mine.filter(({ slot }) => slot === null || !slots.locked.has(slot));
  const touched = good.filter(({ slot }) => slot !== null && slots.got.has(slot));
  const bySlot = [...new Map(touched.map(({ slot, unit }) => [slot!, unit]))].map(([key, unit]) => ({
    key,
    unit,
  }));
  const ending = { ended: good, kept: [], slots: bySlot, state: config.states.expired };
  const done = await endBookings(client, log, tables, config, ending);
  const details = { reason: 'stuck hold', run: log.run };
  const entries = good.map(({ key }) => ({ booking: key, details }));
  await writeAudit(client, tables, config, config.audit.expired, entries);
  return {
    done,
    left: missing
      .filter(({ key }) => !locked.has(key))
      .map(({ key }) => ({ unit: `booking ${key}`, why: 'it is no hold any more, or ends later now' })),
    later: items.filter((item) => !good.includes(item) && (got.has(item.key) || locked.has(item.key))),
  };
}

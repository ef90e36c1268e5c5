import type { Client } from 'pg';
import { serviceOf } from '../../config/load';
import { databaseIn, targetOf, type Place } from '../../contract/place';
import { countOf } from '../../contract/text';
import { instantText, instantValue, keysParameter } from '../postgres/repair/mapping';
import { checkRole } from '../postgres/repair/role';
import { triggersOnTheWayBack, unconfiguredRepair, unknownWords } from '../postgres/repair/unconfigured';
import { highestFenceToken } from '../postgres/session/bookkeeping';
import { withClient } from '../postgres/session/connection';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { bookingsOf, MOST_NAMED, type BookingsOfUnit } from './overbooked';
import { inventoryOf, type InventoryConfig } from './settings';
import {
  changedTables,
  COUNT_COLUMNS,
  countsOf,
  readInventoryTables,
  writtenTables,
  type InventoryTables,
  type UnitCount,
} from './tables';

/** A unit about which only a person can decide, with what is sold of it. */
export type UnitForPeople = UnitCount & BookingsOfUnit;

/** What was sold or given back lately, by the ledger. */
export interface RecentEntries {
  count: number;
  hours: number;
  /** The newest of them, newest first. */
  newest: { id: string; unit: string; quantity: string; at: string }[];
}

export interface InventoryAudit {
  /** ISO time. */
  countedAt: string;
  units: number;
  /** Units whose counter is over their capacity. */
  soldOver: number;
  /** Keys of units whose counter is to be rebuilt, and the first of them in numbers. */
  rebuild: string[];
  sample: UnitCount[];
  /** Keys of units that are sold too often, or whose ledger cannot be followed, and the first of them in numbers. */
  forPeople: string[];
  named: UnitForPeople[];
  /** Null where no column says when an entry was made. */
  recent: RecentEntries | null;
  /** Where the counters are, for whoever looks at statements. Names as in the catalogue. */
  counter: { schema: string; relation: string; sold: string; capacity: string };
  unconfigured: string[];
  fenceToken: number;
}

/** Which units are looked at, and nothing else; all of them where none are named. */
export interface InventoryAuditInput extends Place {
  among?: string[];
}

/** The whole tables are read, without a lock. */
const SEARCH_TIMEOUT_MS = 30 * 60_000;
const MAX_NEWEST = 10;
/** They end up in histories, whatever maxDestructive allows. */
const MOST_UNITS = 5_000;

export function mostUnits({ config }: ActivityDeps, service: string): number {
  return Math.min(serviceOf(config, service).maxDestructive, MOST_UNITS);
}

/** Compares counters, ledger and bookings. */
export function createInventoryAuditActivities(deps: ActivityDeps) {
  return {
    /**
     * Units whose counter is not what the ledger adds up to, that are sold too often, or whose ledger cannot be followed.
     * Reads only. Throws InvalidInput, MappingInvalid, RepairRoleInvalid, TooManyTargets, WrongDatabase, DatabaseUnreachable.
     */
    async compareInventory({ among, ...place }: InventoryAuditInput): Promise<InventoryAudit> {
      const { service } = place;
      const config = inventoryOf(deps, service);
      return withClient(
        deps,
        databaseIn(place),
        async (client) => {
          const tables = await readInventoryTables(client, service, config);
          if (config.role !== undefined) await checkRole(client, config.role, writtenTables(tables));
          const found = await compare(client, config, tables, {
            among,
            most: mostUnits(deps, service),
            place,
          });
          const { schema, table, columns } = config.tables.units;
          return {
            ...found,
            recent: among === undefined ? await findRecent(client, config, tables) : null,
            counter: { schema, relation: table, sold: columns.sold, capacity: columns.capacity },
            unconfigured: among === undefined ? await warningsOf(client, config, tables) : [],
            fenceToken: await highestFenceToken(client),
          };
        },
        {
          identity: true,
          allRows: true,
          readOnly: true,
          statementTimeoutMs: SEARCH_TIMEOUT_MS,
          action: 'compare the inventory with its ledger',
        },
      );
    },
  };
}

interface Search {
  place: Place;
  among: string[] | undefined;
  most: number;
}

type Found = Pick<
  InventoryAudit,
  'countedAt' | 'units' | 'soldOver' | 'rebuild' | 'sample' | 'forPeople' | 'named'
>;

async function compare(
  client: Client,
  config: InventoryConfig,
  tables: InventoryTables,
  { place, among, most }: Search,
): Promise<Found> {
  const keys = among === undefined ? [] : [among];
  const { rows } = await client.query<UnitCount & { list: 'rebuild' | 'people'; total: number }>(
    `${countsOf(tables, among !== undefined)}
     SELECT ${COUNT_COLUMNS}, list, total FROM (
       SELECT *, count(*) OVER (PARTITION BY list)::int AS total, row_number() OVER (PARTITION BY list ORDER BY over DESC, key) AS place FROM (
         SELECT *, 'rebuild' AS list FROM counts WHERE differs AND disputed IS NULL
         UNION ALL SELECT *, 'people' FROM counts WHERE over OR disputed IS NOT NULL) found) listed
      WHERE place <= ${most} ORDER BY list, place`,
    [config.counts, ...keys],
  );
  const { name, columns } = tables.units;
  const { rows: all } = await client.query<{ at: string; units: number; soldOver: number }>(
    `SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, count(*)::int AS units,
            (count(*) FILTER (WHERE u.${columns.sold.name} > u.${columns.capacity.name}))::int AS "soldOver"
       FROM ${name} u WHERE ${among === undefined ? 'true' : `u.${columns.id.name} = ANY(${keysParameter(1, columns.id)})`}`,
    keys,
  );
  const ofList = (wanted: string) => rows.filter(({ list }) => list === wanted);
  const [rebuild, people] = [ofList('rebuild'), ofList('people')];
  refuseTooMany(place, 'have a counter that is not what their ledger adds up to', rebuild[0]?.total, most);
  refuseTooMany(
    place,
    'are sold too often, or have a ledger that cannot be followed',
    people[0]?.total,
    most,
  );
  const { at, units, soldOver } = all[0]!;
  return {
    ...{ countedAt: at, units, soldOver },
    rebuild: rebuild.map(({ id }) => id),
    sample: rebuild.slice(0, MOST_NAMED).map(plain),
    forPeople: people.map(({ id }) => id),
    named: await bookingsOf(client, config, tables, people.slice(0, MOST_NAMED).map(plain)),
  };
}

function plain<T extends UnitCount & { list: string; total: number }>(found: T): UnitCount {
  const { list: _, total: __, ...count } = found;
  return count;
}

function refuseTooMany(place: Place, what: string, total = 0, most: number): void {
  if (total <= most) return;
  throw fail(
    'TooManyTargets',
    `${countOf(total, 'unit')} of ${targetOf(place)} ${what}, more than one run may touch (${most}: maxDestructive, and never more than ${MOST_UNITS}). None was changed: look first whether inventory.tables and inventory.counts are what the application means.`,
  );
}

async function findRecent(
  client: Client,
  { recentHours }: InventoryConfig,
  { ledger: { name, columns } }: InventoryTables,
): Promise<RecentEntries | null> {
  const { id, unit, quantity, createdAt } = columns;
  if (createdAt === undefined) return null;
  const since = instantValue('now() - make_interval(secs => $1::float8 * 3600)', createdAt);
  const { rows } = await client.query<RecentEntries['newest'][number] & { total: number }>(
    `SELECT l.${id.name}::text AS id, l.${unit.name}::text AS unit, coalesce(l.${quantity.name}::text, 'no number') AS quantity,
            ${instantText(createdAt, 'l')} AS at, count(*) OVER ()::int AS total
       FROM ${name} l WHERE l.${createdAt.name} >= ${since} ORDER BY l.${createdAt.name} DESC LIMIT $2`,
    [recentHours, MAX_NEWEST],
  );
  const newest = rows.map(({ total: _, ...row }) => row);
  return { count: rows[0]?.total ?? 0, hours: recentHours, newest };
}

async function warningsOf(
  client: Client,
  config: InventoryConfig,
  tables: InventoryTables,
): Promise<string[]> {
  const { units, ledger, bookings, audit } = tables;
  const { rows } = await client.query<{ stray: number; unbounded: number }>(
    `SELECT (SELECT count(*)::int FROM ${ledger.name} l WHERE NOT EXISTS (
               SELECT FROM ${units.name} u WHERE u.${units.columns.id.name} = l.${ledger.columns.unit.name})) AS stray,
            (SELECT count(*)::int FROM ${units.name} u WHERE u.${units.columns.capacity.name} IS NULL) AS unbounded`,
  );
  const { stray, unbounded } = rows[0]!;
  const words =
    bookings === undefined
      ? []
      : config.counts.map((value, index) => ({
          table: bookings,
          status: bookings.columns.status,
          value,
          path: `counts.${index}`,
        }));
  return [
    ...unconfiguredRepair({ role: config.role, audit }),
    ...(bookings === undefined
      ? ['nobody compares the ledger with bookings: tables.bookings is not configured']
      : []),
    ...(ledger.columns.createdAt === undefined
      ? ['recent entries of the ledger are not listed: no column createdAt is configured']
      : []),
    ...(stray > 0 ? [`${countOf(stray, 'row')} of the ledger belong to no unit that is there`] : []),
    ...(unbounded > 0
      ? [`${countOf(unbounded, 'unit')} without a capacity: whether they are sold too often is not known`]
      : []),
    ...(await unknownWords(client, words)),
    ...(await triggersOnTheWayBack(client, changedTables(tables))),
  ];
}

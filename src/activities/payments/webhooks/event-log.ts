import type { Client } from 'pg';
import { scrub } from '../../../config/secrets';
import { databaseIn, type Place } from '../../../contract/place';
import { keysParameter, readTables } from '../../postgres/repair/mapping';
import { highestFenceToken } from '../../postgres/session/bookkeeping';
import { withClient } from '../../postgres/session/connection';
import type { ActivityDeps } from '../../support/deps';
import { readAftermath, type Aftermath } from './aftermath';
import { webhookLogOf, webhookReplayOf, type PaymentWebhooksConfig } from './settings';

export type WebhookTables = Awaited<ReturnType<typeof readWebhookTables>>;

/** An event that the application has received and not applied. */
export interface FailedEvent {
  /** Key of its row. */
  id: string;
  event: string;
  /** Null where no column is configured, or nothing is said. */
  kind: string | null;
  error: string | null;
}

/** One that is never replayed, because another row is the same event. */
export interface Twin {
  id: string;
  event: string;
  /** The row of the other, which was applied or is replayed instead. */
  of: string;
  applied: boolean;
}

export interface WebhookLook {
  /** The oldest first; at most `maxEvents`. */
  failed: FailedEvent[];
  /** More than one run takes. */
  others: number;
  /** The first of them. */
  twins: Twin[];
  allTwins: number;
  aftermath: Aftermath;
  maxRounds: number;
  patienceMs: number;
  lookEveryMs: number;
  canProbe: boolean;
  unconfigured: string[];
  fenceToken: number;
}

/** What became of rows of the log, by their keys. */
export interface FollowedLog {
  applied: string[];
  failed: FailedEvent[];
  /** Failed, and another row of the same event was applied: nothing is left to be done. */
  superseded: string[];
  /** Neither: still under way, or gone. */
  open: string[];
}

const READING = {
  identity: true,
  allRows: true,
  readOnly: true,
  action: 'read the log of webhooks',
} as const;
const MAX_TEXT = 200;
const MAX_TWINS = 50;

/** The mapped tables, as the database has them. Throws MappingInvalid. */
export async function readWebhookTables(client: Client, service: string, { tables }: PaymentWebhooksConfig) {
  return readTables(client, `services.${service}.paymentWebhooks.tables`, tables, {
    events: { indexed: ['event', 'status', 'hash'] },
    ledger: { indexed: ['event'] },
  });
}

/** Reads the log of webhooks that an application has received, and what should have followed from them. */
export function createEventLogActivities(deps: ActivityDeps) {
  return {
    /**
     * What was received and could not be applied, without those that another row is or was applied for. Reads only. Throws
     * InvalidInput, MappingInvalid, WrongDatabase, DatabaseUnreachable.
     */
    async findFailedPaymentWebhooks(place: Place): Promise<WebhookLook> {
      const config = webhookLogOf(deps, place.service);
      const replay = webhookReplayOf(deps, place);
      return withClient(
        deps,
        databaseIn(place),
        async (client) => {
          const tables = await readWebhookTables(client, place.service, config);
          return {
            ...(await readFailed(client, tables, config, replay.maxEvents)),
            ...(await readTwins(client, tables, config)),
            aftermath: await readAftermath(client, tables, config),
            maxRounds: replay.maxRounds,
            patienceMs: replay.patienceSeconds * 1_000,
            lookEveryMs: replay.lookEverySeconds * 1_000,
            canProbe: replay.probe !== undefined,
            unconfigured: unconfiguredOf(config, replay.probe !== undefined),
            fenceToken: await highestFenceToken(client),
          };
        },
        READING,
      );
    },

    /** What became of exactly these rows. Reads only. Throws MappingInvalid, DatabaseUnreachable. */
    async followPaymentWebhooks({ ids, ...place }: Place & { ids: string[] }): Promise<FollowedLog> {
      const config = webhookLogOf(deps, place.service);
      return withClient(
        deps,
        databaseIn(place),
        async (client) =>
          followRows(client, await readWebhookTables(client, place.service, config), config, ids),
        READING,
      );
    },

    /** Whether what should follow from the events is there: of those that are named, or of all. Reads only. Throws as before. */
    async readPaymentAftermath({ events, ...place }: Place & { events?: string[] }): Promise<Aftermath> {
      const config = webhookLogOf(deps, place.service);
      return withClient(
        deps,
        databaseIn(place),
        async (client) =>
          readAftermath(client, await readWebhookTables(client, place.service, config), config, events),
        READING,
      );
    },
  };
}

/**
 * Rows `e` of the log, each with another row of the same event: one that was applied, else one that failed and comes first.
 * Two with one hash of the payload are the same event, whatever their IDs. $1 are the words for failed, $2 those for applied.
 */
function withTwins({ events: { name, columns } }: WebhookTables): string {
  const { id, event, status, hash } = columns;
  const same = `(o.${event.name} = e.${event.name}${hash === undefined ? '' : ` OR o.${hash.name} = e.${hash.name}`})`;
  return `${name} e LEFT JOIN LATERAL (
         SELECT o.${id.name}::text AS id, o.${status.name}::text = ANY($2::text[]) AS applied FROM ${name} o
          WHERE o.${id.name} <> e.${id.name} AND ${same}
            AND (o.${status.name}::text = ANY($2::text[]) OR o.${status.name}::text = ANY($1::text[]) AND o.${id.name} < e.${id.name})
          ORDER BY 2 DESC, o.${id.name} LIMIT 1) AS twin ON true`;
}

function oldestFirst({ events: { columns } }: WebhookTables): string {
  const { id, receivedAt } = columns;
  return `${receivedAt === undefined ? '' : `e.${receivedAt.name} NULLS LAST, `}e.${id.name}`;
}

function fieldsOf({ events: { columns } }: WebhookTables): string {
  const { id, event, error, kind } = columns;
  const text = (column: { name: string } | undefined) =>
    column === undefined ? 'NULL' : `left(e.${column.name}::text, 2000)`;
  return `e.${id.name}::text AS id, e.${event.name}::text AS event, ${text(kind)} AS kind, ${text(error)} AS error`;
}

/** Those that are to be replayed. However many rows are twins: they hide none. */
async function readFailed(
  client: Client,
  tables: WebhookTables,
  { states }: PaymentWebhooksConfig,
  maxEvents: number,
): Promise<{ failed: FailedEvent[]; others: number }> {
  const { rows } = await client.query<FailedEvent & { total: number }>(
    `SELECT ${fieldsOf(tables)}, count(*) OVER ()::int AS total FROM ${withTwins(tables)}
      WHERE e.${tables.events.columns.status.name}::text = ANY($1::text[]) AND twin.id IS NULL
      ORDER BY ${oldestFirst(tables)} LIMIT ${maxEvents}`,
    [states.failed, states.applied],
  );
  return { failed: rows.map(cleaned), others: (rows[0]?.total ?? 0) - rows.length };
}

async function readTwins(
  client: Client,
  tables: WebhookTables,
  { states }: PaymentWebhooksConfig,
): Promise<{ twins: Twin[]; allTwins: number }> {
  const { id, event, status } = tables.events.columns;
  const { rows } = await client.query<Twin & { total: number }>(
    `SELECT e.${id.name}::text AS id, e.${event.name}::text AS event, twin.id AS of, twin.applied, count(*) OVER ()::int AS total
       FROM ${withTwins(tables)}
      WHERE e.${status.name}::text = ANY($1::text[]) AND twin.id IS NOT NULL
      ORDER BY ${oldestFirst(tables)} LIMIT ${MAX_TWINS}`,
    [states.failed, states.applied],
  );
  return { twins: rows.map(({ total: _total, ...twin }) => twin), allTwins: rows[0]?.total ?? 0 };
}

/** What somebody else's code has said may quote a secret, and is long. */
function cleaned({ id, event, kind, error }: FailedEvent): FailedEvent {
  const short = (text: string | null) =>
    text === null ? null : scrub(text.replace(/\s+/g, ' ')).slice(0, MAX_TEXT);
  return { id, event, kind: short(kind), error: short(error) };
}

export async function followRows(
  client: Client,
  tables: WebhookTables,
  { states }: PaymentWebhooksConfig,
  ids: string[],
): Promise<FollowedLog> {
  const { id, status } = tables.events.columns;
  const { rows } = await client.query<FailedEvent & { word: string; over: boolean }>(
    `SELECT ${fieldsOf(tables)}, e.${status.name}::text AS word, coalesce(twin.applied, false) AS over
       FROM ${withTwins(tables)} WHERE e.${id.name} = ANY(${keysParameter(3, id)})`,
    [states.failed, states.applied, ids],
  );
  const unapplied = rows.filter(({ word }) => states.failed.includes(word));
  const applied = rows.filter(({ word }) => states.applied.includes(word)).map((row) => row.id);
  const failed = unapplied.filter(({ over }) => !over).map(cleaned);
  const superseded = unapplied.filter(({ over }) => over).map((row) => row.id);
  const known = new Set([...applied, ...superseded, ...failed.map((row) => row.id)]);
  return { applied, failed, superseded, open: ids.filter((one) => !known.has(one)) };
}

function unconfiguredOf({ tables, ledger }: PaymentWebhooksConfig, canProbe: boolean): string[] {
  const { hash, error } = tables.events.columns;
  return [
    ...(canProbe
      ? []
      : [
          'whether the application takes a signed event is not tried: paymentWebhooks.probe is not configured',
        ]),
    ...(error === undefined ? ['why events failed is not read: no column error is configured'] : []),
    ...(hash === undefined
      ? ['two rows with one payload are not recognised as one event: no column hash is configured']
      : []),
    ...(ledger === undefined ? ['ledger entries are not looked at: none are configured'] : []),
    ...(tables.payouts === undefined ? ['payout jobs are not looked at: none are configured'] : []),
  ];
}

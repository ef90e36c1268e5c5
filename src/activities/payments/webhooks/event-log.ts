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
  twins: Twin[];
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
          const { failed, twins } = await readFailed(client, tables, config, replay.maxEvents);
          return {
            failed: failed.slice(0, replay.maxEvents),
            others: Math.max(0, failed.length - replay.maxEvents),
            twins,
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

type FoundRow = FailedEvent & { twin: string | null; twinApplied: boolean | null };

/**
 * Failed rows, each with another row of the same event: one that was applied, else one that failed and comes first. Two with
 * one hash of the payload are the same event, whatever their IDs.
 */
async function readFailed(
  client: Client,
  { events: { name, columns } }: WebhookTables,
  { states }: PaymentWebhooksConfig,
  maxEvents: number,
): Promise<{ failed: FailedEvent[]; twins: Twin[] }> {
  const { id, event, status, error, hash, kind, receivedAt } = columns;
  const text = (column: { name: string } | undefined) =>
    column === undefined ? 'NULL' : `left(e.${column.name}::text, 2000)`;
  const same = `(o.${event.name} = e.${event.name}${hash === undefined ? '' : ` OR o.${hash.name} = e.${hash.name}`})`;
  const { rows } = await client.query<FoundRow>(
    `SELECT e.${id.name}::text AS id, e.${event.name}::text AS event, ${text(kind)} AS kind, ${text(error)} AS error,
            twin.id AS twin, twin.applied AS "twinApplied"
       FROM ${name} e LEFT JOIN LATERAL (
         SELECT o.${id.name}::text AS id, o.${status.name}::text = ANY($2::text[]) AS applied FROM ${name} o
          WHERE o.${id.name} <> e.${id.name} AND ${same}
            AND (o.${status.name}::text = ANY($2::text[]) OR o.${status.name}::text = ANY($1::text[]) AND o.${id.name} < e.${id.name})
          ORDER BY 2 DESC, o.${id.name} LIMIT 1) AS twin ON true
      WHERE e.${status.name}::text = ANY($1::text[])
      ORDER BY ${receivedAt === undefined ? '' : `e.${receivedAt.name} NULLS LAST, `}e.${id.name} LIMIT ${10 * maxEvents}`,
    [states.failed, states.applied],
  );
  return {
    failed: rows.flatMap(({ twin, twinApplied: _applied, ...row }) => (twin === null ? [cleaned(row)] : [])),
    twins: rows.flatMap(({ id: own, event: of, twin, twinApplied }) =>
      twin === null ? [] : [{ id: own, event: of, of: twin, applied: twinApplied === true }],
    ),
  };
}

/** What somebody else's code has said may quote a secret, and is long. */
function cleaned({ id, event, kind, error }: FailedEvent): FailedEvent {
  const short = (text: string | null) =>
    text === null ? null : scrub(text.replace(/\s+/g, ' ')).slice(0, MAX_TEXT);
  return { id, event, kind: short(kind), error: short(error) };
}

export async function followRows(
  client: Client,
  { events: { name, columns } }: WebhookTables,
  { states }: PaymentWebhooksConfig,
  ids: string[],
): Promise<FollowedLog> {
  const { id, event, status, error, kind } = columns;
  const text = (column: { name: string } | undefined) =>
    column === undefined ? 'NULL' : `left(e.${column.name}::text, 2000)`;
  const { rows } = await client.query<FailedEvent & { word: string }>(
    `SELECT e.${id.name}::text AS id, e.${event.name}::text AS event, e.${status.name}::text AS word, ${text(kind)} AS kind, ${text(error)} AS error
       FROM ${name} e WHERE e.${id.name} = ANY(${keysParameter(1, id)})`,
    [ids],
  );
  const applied = rows.filter(({ word }) => states.applied.includes(word)).map((row) => row.id);
  const failed = rows.filter(({ word }) => states.failed.includes(word)).map(cleaned);
  const known = new Set([...applied, ...failed.map((row) => row.id)]);
  return { applied, failed, open: ids.filter((one) => !known.has(one)) };
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

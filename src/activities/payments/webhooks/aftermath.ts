import type { Client } from 'pg';
import { instantValue } from '../../postgres/repair/mapping';
import type { WebhookTables } from './event-log';
import type { PaymentWebhooksConfig } from './settings';

/** What should follow from events that were applied. */
export interface Aftermath {
  /** Of events whose ledger entries are not as many as they should be; null where none are looked at. */
  ledger: { missing: number; tooMany: number; named: string[] } | null;
  /** Payout jobs that should have run; null where none are looked at. */
  payouts: { overdue: number; named: string[] } | null;
}

const MAX_NAMED = 10;

/** Looks at ledger and payout jobs: of the named events, or of all within the days of the configuration. */
export async function readAftermath(
  client: Client,
  tables: WebhookTables,
  config: PaymentWebhooksConfig,
  events?: string[],
): Promise<Aftermath> {
  return {
    ledger: await readLedger(client, tables, config, events),
    payouts: await readPayouts(client, tables, config),
  };
}

async function readLedger(
  client: Client,
  { events: { name, columns }, ledger }: WebhookTables,
  { states, ledger: wanted }: PaymentWebhooksConfig,
  events: string[] | undefined,
): Promise<Aftermath['ledger']> {
  if (ledger === undefined || wanted === undefined) return null;
  const { event, status, kind, receivedAt } = columns;
  const recent =
    receivedAt === undefined
      ? 'true'
      : `e.${receivedAt.name} >= ${instantValue('now() - make_interval(secs => $4::float8 * 86400)', receivedAt)}`;
  const which = events === undefined ? recent : `e.${event.name}::text = ANY($4::text[])`;
  const limited = events !== undefined || receivedAt !== undefined;
  const { rows } = await client.query<{ event: string; entries: number; missing: number; tooMany: number }>(
    `SELECT found.*, count(*) FILTER (WHERE entries < $3) OVER ()::int AS missing, count(*) FILTER (WHERE entries > $3) OVER ()::int AS "tooMany"
       FROM (SELECT DISTINCT e.${event.name}::text AS event,
                    (SELECT count(*)::int FROM ${ledger.name} l WHERE l.${ledger.columns.event.name}::text = e.${event.name}::text) AS entries
               FROM ${name} e
              WHERE e.${status.name}::text = ANY($1::text[]) AND e.${kind!.name}::text = ANY($2::text[]) AND ${which}) AS found
      WHERE entries <> $3 ORDER BY event LIMIT ${MAX_NAMED}`,
    [states.applied, wanted.kinds, wanted.entries, ...(limited ? [events ?? wanted.days] : [])],
  );
  return {
    missing: rows[0]?.missing ?? 0,
    tooMany: rows[0]?.tooMany ?? 0,
    named: rows.map(({ event: id, entries }) => `${id} (${entries} of ${wanted.entries})`),
  };
}

async function readPayouts(
  client: Client,
  { payouts }: WebhookTables,
  { payouts: { open, graceMinutes } }: PaymentWebhooksConfig,
): Promise<Aftermath['payouts']> {
  if (payouts === undefined) return null;
  const { id, status, dueAt } = payouts.columns;
  const { rows } = await client.query<{ id: string; overdue: number }>(
    `SELECT p.${id.name}::text AS id, count(*) OVER ()::int AS overdue FROM ${payouts.name} p
      WHERE p.${status.name}::text = ANY($1::text[]) AND p.${dueAt.name} < ${instantValue('now() - make_interval(secs => $2::float8 * 60)', dueAt)}
      ORDER BY p.${dueAt.name} LIMIT ${MAX_NAMED}`,
    [open, graceMinutes],
  );
  return { overdue: rows[0]?.overdue ?? 0, named: rows.map((row) => row.id) };
}

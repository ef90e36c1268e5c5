import type { Client } from 'pg';
import { readTables, type MappedTable } from '../postgres/repair/mapping';
import type { PaymentsConfig } from './settings';

export type PaymentTables = Awaited<ReturnType<typeof readPaymentTables>>;

/** The mapped tables, as the database has them. Throws MappingInvalid. */
export async function readPaymentTables(client: Client, service: string, { tables }: PaymentsConfig) {
  return readTables(client, `services.${service}.payments.tables`, tables, {
    payments: { indexed: ['booking'] },
    audit: { indexed: [] },
  });
}

/** Rows of bookings are read at most. */
export function changedTables({ payments }: PaymentTables): MappedTable[] {
  return [payments];
}

export function writtenTables({ payments, audit }: PaymentTables): string[] {
  return [payments.name, ...(audit === undefined ? [] : [audit.name])];
}

/** The index that keeps one webhook from being applied twice. */
export interface WebhookIndex {
  state: 'present' | 'missing' | 'unconfigured';
  /** What builds it; empty where none is wanted. */
  statement: string;
  detail: string;
}

/** Looks for a valid unique index over the hash, alone or with the provider. Any name will do. */
export async function findWebhookIndex(
  client: Client,
  { payments: { name, columns } }: PaymentTables,
  { tables }: PaymentsConfig,
): Promise<WebhookIndex> {
  const { webhookHash, provider } = tables.payments.columns;
  if (columns.webhookHash === undefined || webhookHash === undefined)
    return {
      state: 'unconfigured',
      statement: '',
      detail:
        'whether an index keeps webhooks from being applied twice is not looked at: no column webhookHash is configured',
    };
  const { rows } = await client.query<{ index: string }>(
    `SELECT c.relname AS index FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indisvalid AND i.indisready AND i.indexprs IS NULL
        AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', $2::text))
        AND (SELECT bool_or(a.attname = $2) AND bool_and(a.attname IN ($2, $3))
               FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k(attnum) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
      ORDER BY 1 LIMIT 1`,
    [name, webhookHash, provider],
  );
  const [found] = rows;
  if (found !== undefined)
    return {
      state: 'present',
      statement: '',
      detail: `index ${found.index} keeps webhooks from being applied twice`,
    };
  return {
    state: 'missing',
    statement: `CREATE UNIQUE INDEX CONCURRENTLY ON ${name} (${columns.webhookHash.name})`,
    detail: `no valid unique index on ${webhookHash} keeps webhooks from being applied twice`,
  };
}

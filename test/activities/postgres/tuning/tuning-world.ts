import { Client } from 'pg';
import { proveIndexes } from '../../../../src/activities/postgres/tuning/prove-indexes';
import { createTuningActivities } from '../../../../src/activities/postgres/tuning/tuning-activities';
import type { TuningConfig } from '../../../../src/config/tuning-schema';
import type { IndexChange, IndexReview } from '../../../../src/contract/tuning';
import {
  startTestPostgres,
  type FreshOptions,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import { duringTests } from '../../../support/stand-in';

export const PASSWORD = 'tuning-test';
const TEMPLATE = `
  CREATE ROLE runbooks LOGIN SUPERUSER PASSWORD '${PASSWORD}';
  CREATE EXTENSION pg_stat_statements;
  CREATE TABLE customers (id int PRIMARY KEY, email text);
  CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, status text, placed_at timestamptz, note text);
  INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 500) i;
  INSERT INTO orders SELECT i, i % 500 + 1, (ARRAY['new', 'paid', 'sent'])[i % 3 + 1], now() - i * interval '1 minute', repeat('x', 60) || i
    FROM generate_series(1, 20000) i;
  ANALYZE;`;
export const BY_CUSTOMER = `SELECT * FROM orders o WHERE o.customer_id = $1 AND o.placed_at > $2`;

/** A server with the shop's tables whose statements are counted, from the first test of a file to its last. */
export const useTuning = () =>
  duringTests(() =>
    startTestPostgres({
      template: TEMPLATE,
      settings: { shared_preload_libraries: 'pg_stat_statements', autovacuum: 'off' },
    }),
  );

type Tuning = Partial<TuningConfig>;
const NOW: Tuning = { slowMs: 0.001, minCalls: 2, minTableRows: 1_000, unusedDays: 0.000_001 };

export async function freshTuning(
  pg: TestPostgres,
  sql = '',
  tuning: Tuning = {},
  options: FreshOptions = {},
) {
  const db = await pg.fresh({
    sql,
    role: { user: 'runbooks', password: PASSWORD },
    service: { tuning: { ...NOW, ...tuning } },
    ...options,
  });
  await db.query('SELECT pg_stat_statements_reset()');
  return { db, activities: createTuningActivities(db.deps) };
}

/** The same under other limits. */
export function withTuning({ deps: { config } }: TestDatabase, tuning: Tuning) {
  const shop = config.services['shop']!;
  return createTuningActivities({
    config: { ...config, services: { shop: { ...shop, tuning: { ...shop.tuning, ...tuning } } } },
  });
}

/** Calls a statement as an application does, with parameters. */
export async function call(db: TestDatabase, text: string, values: unknown[], times = 3): Promise<void> {
  for (let count = 0; count < times; count += 1) await db.query(text, values);
}

export const changesOf = ({ changes }: IndexReview) =>
  changes.map(({ kind, definition }) => `${kind}: ${definition}`);
export const fence = (token = 1) => ({ target: 'shop/production', token });
export const indexesOf = async (db: TestDatabase) =>
  (
    await db.query<{ definition: string }>(
      `SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = 'orders'::regclass ORDER BY 1`,
    )
  ).map(({ definition }) => definition);
export const dropOf = (name: string, definition: string): IndexChange => ({
  ...{ kind: 'drop', index: `public.${name}`, table: 'public.orders', definition, why: '', bytes: 0 },
  ...{ helps: [], tablespace: null, comment: null },
});

/** On the same database in the place of a copy: the trial leaves nothing. */
export async function prove(db: TestDatabase, review: IndexReview) {
  const client = new Client({ connectionString: db.url });
  await client.connect();
  try {
    return await proveIndexes(client, review, () => undefined);
  } finally {
    await client.end();
  }
}

/** One index of each kind. */
export const MANY = `
  CREATE INDEX spare ON orders (note);
  CREATE INDEX twin_a ON orders (status); CREATE INDEX twin_b ON orders (status);
  CREATE INDEX like_the_key ON orders (id); CREATE INDEX longer ON orders (status, placed_at);
  CREATE UNIQUE INDEX apart ON orders (id, status);
  CREATE INDEX by_expression ON orders (lower(note));
  ALTER TABLE orders ADD COLUMN code int; UPDATE orders SET code = id; ALTER TABLE orders ALTER code SET NOT NULL;
  CREATE UNIQUE INDEX identity ON orders (code); ALTER TABLE orders REPLICA IDENTITY USING INDEX identity;
  CREATE INDEX part ON orders (placed_at) WHERE status = 'new';
  CREATE INDEX clustered ON orders (placed_at, code); ALTER TABLE orders CLUSTER ON clustered;
  CREATE INDEX "Odd name" ON orders (code DESC) WITH (fillfactor = 70);
  COMMENT ON INDEX "Odd name" IS 'it''s odd'; ANALYZE orders;`;

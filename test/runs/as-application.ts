import { Client } from 'pg';
import { until } from '../support/postgres';
import type { Driver } from './harness';

/** Writes all the time, and reconnects when it is thrown out. */
export interface Writer {
  /** Numbers of the rows that it was told are there. */
  acknowledged: number[];
  stop(): Promise<void>;
}

export interface Application extends Writer {
  /**
   * Connects anew and compares schema, rows and sequences with what it saw at the beginning and with what it has written
   * since. Waits until it may write again, and stops writing.
   */
  expectAsBefore(): Promise<void>;
}

/** What the traffic of the sample adds to all the time; its rows stay. */
const GROWING = ['slots', 'bookings', 'payments', 'action_tokens', 'audit_logs'];
/** Of the sample's jobs: rows come and go. */
const OF_JOBS = ['idempotency_keys', 'job_runs'];

const SCHEMA = `
  SELECT format('%s.%s at %s: %s %s %s', c.relname, a.attname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
                format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s %s %s', relkind, relname, reloptions, relacl) FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s on %s %s', conname, conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE c.relnamespace = 'public'::regnamespace AND indisvalid
  UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
  UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind <> 'a'
  UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT format('%s on %s: %s %s', policyname, tablename, qual, with_check) FROM pg_policies WHERE schemaname = 'public'
  ORDER BY 1`;

interface Seen {
  schema: string[];
  /** Of what nobody writes to, its contents; of what grows, the keys of its rows. */
  rows: Record<string, string[]>;
  sequences: Record<string, number>;
}

/**
 * Begins to write: a new row of a table of its own, and an address of a customer in the same statement. The table is made now,
 * on staging as well, so that no earlier backup has it.
 */
export async function writeAsApplication(driver: Driver, table: string): Promise<Application> {
  const url = driver.stack.booking.urls.production.app;
  for (const environment of ['production', 'staging'] as const)
    await driver.sql(
      `CREATE TABLE IF NOT EXISTS ${table} (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
       GRANT SELECT, INSERT ON ${table} TO booking_app; GRANT USAGE ON SEQUENCE ${table}_id_seq TO booking_app;
       ALTER TABLE ${table} OWNER TO booking_owner`,
      environment,
    );
  const before = await asApplication(url, (client) => look(client, table));
  const { acknowledged, stop } = startWriter(
    url,
    `WITH added AS (INSERT INTO ${table} DEFAULT VALUES RETURNING id),
          told AS (UPDATE customers SET email = 'row-' || (SELECT id FROM added) || '@example.com'
                    WHERE id = (SELECT min(id) FROM customers))
     SELECT id FROM added`,
  );
  const more = async (): Promise<void> => {
    const already = acknowledged.length;
    // One that was under way may still be told.
    await until(() => acknowledged.length > already + 1);
  };
  await more();
  return {
    acknowledged,
    stop,
    expectAsBefore: async () => {
      await more().finally(stop);
      await asApplication(url, async (client) => {
        const now = await look(client, table);
        expect(now.schema).toEqual(before.schema);
        expect(Object.keys(now.rows)).toEqual(Object.keys(before.rows));
        for (const [name, keys] of Object.entries(before.rows)) {
          const there = new Set(now.rows[name]);
          expect([name, keys.filter((key) => !there.has(key))]).toEqual([name, []]);
        }
        for (const [name, value] of Object.entries(before.sequences))
          expect([name, (now.sequences[name] ?? -1) >= value]).toEqual([name, true]);
        await expectAcknowledged(client, table, acknowledged);
      });
    },
  };
}

/** `statement` gives the number of the row that it adds. */
export function startWriter(url: string, statement: string): Writer {
  const acknowledged: number[] = [];
  let running = true;
  const loop = (async () => {
    while (running)
      await asApplication(url, async (client) => {
        while (running) {
          const { rows } = await client.query<{ id: string }>(statement);
          acknowledged.push(Number(rows[0]?.id));
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }).catch(() => new Promise((resolve) => setTimeout(resolve, 50)));
  })();
  return {
    acknowledged,
    stop: async () => {
      running = false;
      await loop;
    },
  };
}

async function expectAcknowledged(client: Client, table: string, acknowledged: number[]): Promise<void> {
  const numbers = async (sql: string) =>
    (await client.query<{ id: string }>(sql)).rows.map(({ id }) => Number(id));
  const there = new Set(await numbers(`SELECT id FROM ${table}`));
  expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
  const [told] = await numbers(
    `SELECT substring(email FROM 'row-(.*)@') AS id FROM customers ORDER BY customers.id LIMIT 1`,
  );
  expect(told).toBe(Math.max(...there));
  const [next] = await numbers(`INSERT INTO ${table} DEFAULT VALUES RETURNING id`);
  expect(next).toBeGreaterThan(Math.max(...there));
  await client.query(
    `UPDATE customers SET email = 'row-${next}@example.com' WHERE id = (SELECT min(id) FROM customers)`,
  );
}

async function look(client: Client, own: string): Promise<Seen> {
  const list = async <T extends object>(sql: string) => (await client.query<T>(sql)).rows;
  const tables = await list<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND has_table_privilege(oid, 'SELECT') ORDER BY 1`,
  );
  const rows: Seen['rows'] = {};
  for (const { name } of tables.filter((one) => ![own, ...OF_JOBS].includes(one.name))) {
    const what = GROWING.includes(name) ? 't.id::text' : 't::text';
    const but = name === 'customers' ? 'WHERE id > (SELECT min(id) FROM customers)' : '';
    const all = await list<{ row: string }>(`SELECT ${what} AS row FROM ${name} AS t ${but} ORDER BY 1`);
    rows[name] = all.map(({ row }) => row);
  }
  const sequences = await list<{ name: string; value: string }>(
    `SELECT sequencename AS name, coalesce(last_value, 0) AS value FROM pg_sequences WHERE schemaname = 'public'`,
  );
  return {
    schema: (await list<{ line: string }>(SCHEMA)).map(({ line }) => line),
    rows,
    sequences: Object.fromEntries(sequences.map(({ name, value }) => [name, Number(value)])),
  };
}

async function asApplication<T>(url: string, body: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await body(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

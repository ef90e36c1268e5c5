import { createHash } from 'node:crypto';
import { escapeIdentifier, type ClientBase } from 'pg';
import { inTransaction } from './transaction';

/** Schema in every operated database that holds the fence, the ledger, the canary and the change log. */
export const BOOKKEEPING_SCHEMA = 'durable_runbooks';

const MAX_NAME_BYTES = 63;

/**
 * Schema in a maintenance database, which all services of a server share: one for each role, because a table that one of
 * them created is closed to the others.
 */
export async function maintenanceSchema(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ role: string }>('SELECT current_user AS role');
  const role = rows[0]!.role;
  const name = `${BOOKKEEPING_SCHEMA}_${role}`;
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  return `${BOOKKEEPING_SCHEMA}_${createHash('sha256').update(role).digest('hex').slice(0, 16)}`;
}

const FENCE_TABLE = `(
    target   text PRIMARY KEY,
    token    bigint NOT NULL,
    attempt  int NOT NULL DEFAULT 1,
    holder   text NOT NULL DEFAULT '',
    taken_at timestamptz NOT NULL DEFAULT now()
  )`;

/** One row per script (statement 0), or per statement where a script cannot run in one transaction. */
const LEDGER_TABLE = `(
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    migration   text NOT NULL,
    direction   text NOT NULL CHECK (direction IN ('up', 'down')),
    statement   int NOT NULL DEFAULT 0,
    sha256      text NOT NULL,
    status      text NOT NULL CHECK (status IN ('started', 'finished')),
    holder      text NOT NULL DEFAULT '',
    token       bigint,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    duration_ms bigint
  )`;

const CANARY_TABLE = `(
    id         text PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
  )`;

/** Schemas as they were when a run began to change them. */
const FINGERPRINT_TABLE = `(
    id       text PRIMARY KEY,
    taken_at timestamptz NOT NULL DEFAULT now(),
    objects  jsonb NOT NULL
  )`;

/** Texts of what is applied and of its way back, by SHA-256. */
const SCRIPT_TABLE = `(
    sha256  text PRIMARY KEY,
    file    text NOT NULL,
    content bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now()
  )`;

/** Rows of the application that were repaired: as they were before, and as they were left. One row of theirs once a step. */
const CHANGE_LOG_TABLE = `(
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run        text NOT NULL,
    step       text NOT NULL,
    unit       text NOT NULL,
    relation   text NOT NULL,
    key        text NOT NULL,
    before     jsonb NOT NULL,
    after      jsonb NOT NULL,
    holder     text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    undone_at  timestamptz,
    UNIQUE (run, step, relation, key)
  )`;

/** Steps of repairs that are being taken back: nothing may be added to them. */
const CLOSED_STEP_TABLE = `(
    run       text NOT NULL,
    step      text NOT NULL,
    holder    text NOT NULL DEFAULT '',
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, step)
  )`;

/** Indexes that the holder of a token builds or drops; what is not here was done by somebody else. */
const INDEX_CLAIM_TABLE = `(
    target     text NOT NULL,
    token      bigint NOT NULL,
    name       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('build', 'drop')),
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (target, token, name, kind)
  )`;

const TABLES = {
  fence: FENCE_TABLE,
  ledger: LEDGER_TABLE,
  canary: CANARY_TABLE,
  fingerprint: FINGERPRINT_TABLE,
  script: SCRIPT_TABLE,
  change_log: CHANGE_LOG_TABLE,
  closed_step: CLOSED_STEP_TABLE,
  index_claim: INDEX_CLAIM_TABLE,
};

/**
 * Creates the schema and its tables where they are missing. Safe to repeat and to run at once from several
 * sessions. Needs CREATE on the database only the first time. Give it a session outside of a transaction.
 */
export async function ensureBookkeeping(client: ClientBase, schema = BOOKKEEPING_SCHEMA): Promise<void> {
  if ((await missingTables(client, schema)).length === 0) return;
  await inTransaction(client, async () => {
    // IF NOT EXISTS is not safe against itself: two sessions can both find nothing and one then fails.
    await client.query(`SELECT pg_advisory_xact_lock(hashtext($1))`, [`${schema}.bookkeeping`]);
    const { rows } = await client.query(`SELECT 1 FROM pg_namespace WHERE nspname = $1`, [schema]);
    if (rows.length === 0) await client.query(`CREATE SCHEMA ${escapeIdentifier(schema)}`);
    for (const name of await missingTables(client, schema))
      await client.query(`CREATE TABLE ${escapeIdentifier(schema)}.${name} ${TABLES[name]}`);
  });
}

async function missingTables(client: ClientBase, schema: string): Promise<(keyof typeof TABLES)[]> {
  const { rows } = await client.query<{ name: keyof typeof TABLES }>(
    `SELECT name FROM unnest($1::text[]) AS name
      WHERE NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE n.nspname = $2 AND c.relname = name)`,
    [Object.keys(TABLES), schema],
  );
  return rows.map(({ name }) => name);
}

/** Highest fencing token found in the database this session is in; 0 where it was never fenced. */
export async function highestFenceToken(client: ClientBase, schema = BOOKKEEPING_SCHEMA): Promise<number> {
  const table = `${escapeIdentifier(schema)}.fence`;
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    table,
  ]);
  if (rows[0]?.there !== true) return 0;
  const found = await client.query<{ token: string }>(
    `SELECT coalesce(max(token), 0)::text AS token FROM ${table}`,
  );
  return Number(found.rows[0]?.token ?? 0);
}

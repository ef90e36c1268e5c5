import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplyInput } from '../../../../src/activities/postgres/migrations/apply-run';
import { createApplyActivities } from '../../../../src/activities/postgres/migrations/apply-activities';
import { startActivity, type TestDatabase } from '../../../support/postgres';
import type { ApplyResult, MigrationRef } from '../../../../src/contract/migration';

export const fence = { target: 'shop/production', token: 10 };

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Writes NAME.sql and, where given, NAME.down.sql into the migrations directory of the test's service. */
export function writeMigration(
  database: TestDatabase,
  name: string,
  up: string | Buffer,
  down?: string,
): MigrationRef {
  const folder = join(database.directory, 'migrations');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), up);
  if (down !== undefined) writeFileSync(join(folder, name.replace(/\.sql$/, '.down.sql')), down);
  return {
    name,
    sha256: createHash('sha256').update(up).digest('hex'),
    downSha256: down === undefined ? null : sha(down),
  };
}

export function startApply(
  database: TestDatabase,
  migration: MigrationRef,
  changed: Partial<ApplyInput> = {},
  info: Parameters<typeof startActivity>[2] = {},
) {
  const input: ApplyInput = {
    service: 'shop',
    database: database.ref,
    migration,
    direction: 'up',
    fence,
    ...changed,
  };
  return startActivity(createApplyActivities(database.deps).applyMigration, input, info);
}

export function apply(
  database: TestDatabase,
  migration: MigrationRef,
  changed: Partial<ApplyInput> = {},
  info: Parameters<typeof startActivity>[2] = {},
): Promise<ApplyResult> {
  return startApply(database, migration, changed, info).result;
}

export const hasColumn = async (database: TestDatabase, table: string, column: string): Promise<boolean> =>
  (
    await database.query(
      'SELECT 1 FROM information_schema.columns WHERE table_name = $1 AND column_name = $2',
      [table, column],
    )
  ).length > 0;

export const ledgerOf = (database: TestDatabase) =>
  database.query<{ migration: string; direction: string; statement: number; status: string }>(
    'SELECT migration, direction, statement, status FROM durable_runbooks.ledger ORDER BY id',
  );

/** A table with rows, and one that refers to it. */
export const shopSchema = `
  CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, tier varchar(20) DEFAULT 'basic');
  CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, total int NOT NULL);
  INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 2000) AS n;
  INSERT INTO orders (customer_id, total) SELECT 1 + n % 2000, n FROM generate_series(1, 5000) AS n;
  ANALYZE;`;

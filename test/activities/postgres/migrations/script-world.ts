import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createMigrationActivities } from '../../../../src/activities/postgres/migrations/migration-activities';
import { ensureBookkeeping } from '../../../../src/activities/postgres/session/bookkeeping';
import {
  runActivity,
  startTestPostgres,
  type FreshOptions,
  type TestDatabase,
} from '../../../support/postgres';
import type { Hazard, Migration, MigrationSet } from '../../../../src/contract/migration';
import { duringTests } from '../../../support/stand-in';

const TEMPLATE = `
  CREATE TABLE shop (id int PRIMARY KEY, name varchar(20), note text, price numeric(8, 2), at timestamptz, flag bool);
  INSERT INTO shop SELECT i, 'shop ' || i, 'note', i, now(), true FROM generate_series(1, 100) AS i;
  CREATE TABLE part (id int, shop_id int);
  INSERT INTO part SELECT i, i FROM generate_series(1, 100) AS i;
  CREATE TYPE mood AS ENUM ('good', 'bad')`;

export const up = 'ALTER TABLE shop ADD COLUMN phone text;\n';
export const down = 'ALTER TABLE shop DROP COLUMN phone;\n';
export const second = 'CREATE INDEX CONCURRENTLY shop_at ON shop (at);\n';

type Files = Record<string, string | Buffer>;

export function write(db: TestDatabase, files: Files): void {
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(db.directory, 'migrations', name), text);
}

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

export const read = (db: TestDatabase, files: string[] = []): Promise<MigrationSet> =>
  runActivity(createMigrationActivities(db.deps).readMigrations, { ...db.place, files });

export const rulesOf = ({ hazards }: Migration, level?: Hazard['level']): string[] =>
  hazards
    .filter((one) => level === undefined || one.level === level)
    .map(({ rule, line }) => `${rule}:${line}`);

/** A server with the tables of a shop, and databases of it with scripts to apply. */
export function useScripts() {
  const postgres = duringTests(() => startTestPostgres({ template: TEMPLATE }));
  return {
    postgres,
    database: async (files: Files, options?: FreshOptions): Promise<TestDatabase> => {
      const db = await postgres.fresh(options);
      mkdirSync(join(db.directory, 'migrations'));
      write(db, files);
      return db;
    },
    /** Writes into our ledger what was applied. */
    record: async (
      db: TestDatabase,
      rows: {
        migration: string;
        text: string;
        direction?: 'up' | 'down';
        statement?: number;
        status?: string;
      }[],
    ): Promise<void> => {
      const client = new Client({ connectionString: postgres.urlOf(db.name) });
      await client.connect();
      await ensureBookkeeping(client).finally(() => client.end());
      for (const { migration, text, direction = 'up', statement = 0, status = 'finished' } of rows) {
        await db.query(
          'INSERT INTO durable_runbooks.ledger (migration, direction, statement, sha256, status) VALUES ($1, $2, $3, $4, $5)',
          [migration, direction, statement, hashOf(text), status],
        );
      }
    },
  };
}

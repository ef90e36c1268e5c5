/** A worker that can be killed in the middle of a migration, and what its session does meanwhile. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { TestDatabase, TestPostgres } from '../../../support/postgres';
import { fence } from '../migrations/migration-fixtures';

/** A process of its own that applies this migration. The caller ends it. */
export function startWorker({ server }: TestPostgres, shop: TestDatabase, migration: object): ChildProcess {
  const root = join(__dirname, '..', '..', '..', '..');
  const input = { service: 'shop', database: shop.ref, migration, direction: 'up', fence };
  const args = [shop.directory, shop.url, server.systemIdentifier, shop.name, JSON.stringify(input)];
  return spawn(
    process.execPath,
    ['-r', join(root, 'test/cli/register.cjs'), join(__dirname, 'worker-process.ts'), ...args],
    { cwd: root, stdio: 'inherit' },
  );
}

/** Whether a session of anybody else runs a statement that begins so. */
export const running = (shop: TestDatabase, text: string) => async () =>
  (
    await shop.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND query LIKE $2 AND pid <> pg_backend_pid()`,
      [shop.name, `${text}%`],
    )
  ).length > 0;

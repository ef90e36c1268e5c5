/**
 * Smoke program: writes, saves and loses a race in the database of DATABASE_URL as the application does, in one transaction
 * that is rolled back. Safe on a restored copy, on staging, and on production.
 */
import type { Client } from 'pg';
import { withClient } from '../shared/database';

/** Throws where a step does not do what it must. */
export async function runSmoke(databaseUrl: string): Promise<string[]> {
  return withClient(databaseUrl, async (client) => {
    await client.query('BEGIN');
    try {
      const done: string[] = [];
      for (const [name, step] of Object.entries(STEPS)) {
        await step(client).catch((error: Error) => {
          throw new Error(`smoke failed at "${name}": ${error.message}`);
        });
        done.push(name);
      }
      return done;
    } finally {
      await client.query('ROLLBACK');
    }
  });
}

const ID = '00000000-0000-4000-8000-00000000dead';

const STEPS: Record<string, (client: Client) => Promise<void>> = {
  'create a document': (client) =>
    one(
      client,
      `INSERT INTO documents (id, owner_id, content) SELECT '${ID}', id, 'a' FROM auth.users LIMIT 1`,
    ),
  save: (client) => one(client, SAVE),
  'a save upon an earlier version is refused': async (client) => {
    const { rowCount } = await client.query(SAVE);
    if (rowCount !== 0) throw new Error('it overwrote what was saved before it');
  },
  'write the journal': (client) =>
    one(
      client,
      `INSERT INTO save_attempts (document_id, base_version, session_id, content, status) VALUES ('${ID}', 1, 'smoke', 'b', 'saved')`,
    ),
  'read a subscription': (client) =>
    one(client, 'SELECT FROM subscriptions JOIN auth.users u ON u.id = owner_id LIMIT 1'),
  'queue a generation': (client) =>
    one(client, `INSERT INTO generations (document_id, prompt) VALUES ('${ID}', 'Go on')`),
};

const SAVE = `UPDATE documents SET content = 'b', version = version + 1 WHERE id = '${ID}' AND version = 1`;

async function one(client: Client, statement: string): Promise<void> {
  const { rowCount } = await client.query(statement);
  if (rowCount !== 1) throw new Error(`${rowCount} rows, expected one`);
}

async function main(): Promise<void> {
  const { DATABASE_URL: databaseUrl } = process.env;
  if (databaseUrl === undefined || databaseUrl === '')
    throw new Error('DATABASE_URL is not set. It names the database to try.');
  console.log(`smoke passed: ${(await runSmoke(databaseUrl)).join(', ')}; rolled back`);
}

if (require.main === module) {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}

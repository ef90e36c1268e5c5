import type { ClientBase } from 'pg';
import type { ContentsDelta } from '../../../contract/contents';
import type { DatabaseRef, Fence } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { applicationName, withProgress } from '../../support/heartbeat';
import { withClient } from '../session/connection';
import { fenceSession, keepFence } from '../session/fence';
import { inTransaction } from '../session/transaction';
import { compareContents, type Contents } from './compare-contents';
import { readContents } from './read-contents';

export interface SaveContentsInput {
  database: DatabaseRef;
  id: string;
  /** What was saved last: tables that nobody has touched since are not read again. */
  previous: string | null;
  /** What was saved before something that should be undone by now. */
  start?: string;
  fence: Fence;
}

export interface SavedContents {
  tables: number;
  rows: number;
  /** What became of them since `previous`; nothing where there is none. */
  since: ContentsDelta;
  /** The same since `start`. */
  sinceStart: ContentsDelta;
}

// In the copy itself: what thousands of tables hold does not belong into a history. Production never gets this table.
const TABLE = `CREATE TABLE IF NOT EXISTS durable_runbooks.contents (id text PRIMARY KEY, contents json NOT NULL)`;

/** What a disposable copy holds, before and after something was done to it that nobody else does anything to. */
export function createContentsActivities(deps: ActivityDeps) {
  return {
    /**
     * Remembers rows, values and sequences under `id`, and compares them with what was saved before. A retry before anything
     * else was changed remembers the same.
     */
    async saveContents(input: SaveContentsInput): Promise<SavedContents> {
      const { database, id, previous, start, fence } = input;
      const total = { phase: 'contents', done: 0, total: 0, unit: 'tables' as const };
      return withProgress(total, (report) =>
        withClient(
          deps,
          database,
          async (client) => {
            await fenceSession(client, fence);
            await client.query(TABLE);
            const before = previous === null ? null : await savedContents(client, previous);
            const first = start === undefined ? null : await savedContents(client, start);
            const contents = await readContents(client, before, (done, all) => report({ done, total: all }));
            await inTransaction(client, async () => {
              // An attempt that everybody has given up must not save what a later step has made of it.
              await keepFence(client, fence, applicationName());
              await client.query(
                `INSERT INTO durable_runbooks.contents (id, contents) VALUES ($1, $2)
                 ON CONFLICT (id) DO UPDATE SET contents = excluded.contents`,
                [id, JSON.stringify(contents)],
              );
            });
            const tables = Object.values(contents.tables);
            return {
              tables: tables.length,
              rows: tables.reduce((sum, { rows }) => sum + rows, 0),
              since: compareContents(before ?? contents, contents),
              sinceStart: compareContents(first ?? contents, contents),
            };
          },
          { action: 'read its contents', statementTimeoutMs: 0 },
        ),
      );
    },
  };
}

async function savedContents(client: ClientBase, id: string): Promise<Contents> {
  const { rows } = await client.query<{ contents: Contents }>(
    'SELECT contents FROM durable_runbooks.contents WHERE id = $1',
    [id],
  );
  if (rows[0] === undefined)
    throw fail('InvalidInput', `the contents were never saved as ${id}; start a new run`);
  return rows[0].contents;
}

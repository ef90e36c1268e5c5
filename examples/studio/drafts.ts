/** How what people write is saved, with a journal of every attempt. */
import type { FastifyInstance } from 'fastify';
import type { Pool, PoolClient } from 'pg';
import { Counter, type Registry } from 'prom-client';
import { keepRecent } from '../shared/recent';
import { inTransaction } from '../shared/transaction';

interface Save {
  /** The version that it was written upon. */
  base: number;
  content: string;
  /** The tab that it was written in. */
  session: string;
}

/** What runs where nobody deploys anything, and the one that counts words before its migration is applied. */
export const GOOD_RELEASE = '2.3.1';
export const BAD_RELEASE = '2.4.0';

type Result = 'saved' | 'failed' | 'conflict';

/** Somebody else has saved meanwhile. */
class Conflict extends Error {
  readonly statusCode = 409;
}

const KEPT_SECONDS = 15;

/** Adds reading and saving of documents. `version` is the release in front, `localOnly` what operators have switched. */
export function addDrafts(
  server: FastifyInstance,
  pool: Pool,
  { version, localOnly }: { version: () => string; localOnly: () => boolean },
  registers: Registry[],
): void {
  const saves = new Counter({
    name: 'studio_saves_total',
    help: 'Attempts to save a document.',
    labelNames: ['result'],
    registers,
  });
  // So that a rate is known from the first failure on.
  for (const result of ['saved', 'failed', 'conflict']) saves.inc({ result }, 0);
  const recent = keepRecent<Result>(KEPT_SECONDS);
  const count = (result: Result): void => {
    saves.inc({ result });
    recent.add(result);
  };

  server.get<{ Params: { id: string } }>('/api/documents/:id', documentId, async ({ params }, reply) => {
    const { rows } = await pool.query('SELECT id, title, content, version FROM documents WHERE id = $1', [
      params.id,
    ]);
    return rows[0] ?? reply.code(404).send({ error: 'no such document' });
  });
  server.put<{ Params: { id: string }; Body: Save }>(
    '/api/documents/:id/autosave',
    { schema: { ...documentId.schema, body: SAVE } },
    async ({ params, body }) => {
      try {
        const saved = await save(pool, version(), params.id, body);
        count('saved');
        return { version: saved };
      } catch (error) {
        const status = error instanceof Conflict ? 'conflict' : 'failed';
        count(status);
        await journal(pool, params.id, body, { status, error: (error as Error).message });
        throw error;
      }
    },
  );
  /** What an editor asks before it saves. */
  server.get('/api/editor', () => ({ localOnly: localOnly() }));
  server.get('/api/metrics/saves', () => {
    const results = recent.read();
    const failed = results.filter((result) => result !== 'saved').length;
    const failedShare = results.length === 0 ? 0 : failed / results.length;
    return { failedShare, saves: results.length, failed, windowSeconds: KEPT_SECONDS };
  });
}

const documentId = {
  schema: {
    params: { type: 'object', properties: { id: { type: 'string', format: 'uuid' } } },
  },
};

const SAVE = {
  type: 'object',
  required: ['base', 'content', 'session'],
  properties: {
    base: { type: 'integer', minimum: 1 },
    content: { type: 'string', maxLength: 200_000 },
    session: { type: 'string', minLength: 1, maxLength: 60 },
  },
};

/** Release 2.4.0 counts words, in a column that only its migration adds. */
const statementOf = (version: string): string =>
  `UPDATE documents SET content = $2, version = version + 1, updated_at = now()${
    version === BAD_RELEASE ? `, word_count = array_length(regexp_split_to_array($2, '\\s+'), 1)` : ''
  } WHERE id = $1 AND version = $3 RETURNING version`;

/** Document and journal in one transaction: no save is there that the journal does not have. */
async function save(pool: Pool, version: string, id: string, given: Save): Promise<number> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ version: number }>(statementOf(version), [
      id,
      given.content,
      given.base,
    ]);
    if (rows[0] === undefined) throw new Conflict(`version ${given.base} is not the stored one`);
    await journal(client, id, given, { status: 'saved' });
    return rows[0].version;
  });
}

async function journal(
  client: Pool | PoolClient,
  id: string,
  { base, session, content }: Save,
  { status, error }: { status: Result; error?: string },
): Promise<void> {
  await client.query(
    `INSERT INTO save_attempts (document_id, base_version, session_id, content, status, error) VALUES ($1, $2, $3, $4, $5, $6)`,
    [id, base, session, content, status, error ?? null],
  );
}

/** Whether a document can be saved now, by a save that is taken back. Throws where it cannot. */
export async function trySave(pool: Pool, version: string): Promise<void> {
  await inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string; version: number }>(
      'SELECT id, version FROM documents ORDER BY updated_at LIMIT 1',
    );
    const [any] = rows;
    if (any !== undefined) await client.query(statementOf(version), [any.id, 'tried', any.version]);
    throw ROLLED_BACK;
  }).catch((error: unknown) => {
    if (error !== ROLLED_BACK) throw error;
  });
}

const ROLLED_BACK = new Error('rolled back');

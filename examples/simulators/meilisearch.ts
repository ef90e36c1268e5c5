/**
 * Meilisearch as its client sees it: health, documents that are added, deleted and searched, and tasks with filters, states and
 * times. Keeps state between requests. Its search knows whole words and their beginnings, and neither typos nor ranking.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SimulatedTask {
  uid: number;
  indexUid: string;
  status: 'enqueued' | 'processing' | 'succeeded' | 'failed';
  type: 'documentAdditionOrUpdate' | 'documentDeletion';
  enqueuedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  error: { message: string; code: string; type: string; link: string } | null;
}

type Document = Record<string, unknown>;

export interface Meilisearch {
  url: string;
  apiKey: string;
  tasks: SimulatedTask[];
  /** What can be found, by index and by the key of the document. */
  documents: Map<string, Map<string, Document>>;
  /** Takes a document; returns the task, which succeeds at once unless `fails` says why not. */
  enqueue(indexUid: string, fails?: { code: string; message: string }): SimulatedTask;
  /** What `GET /health` says from now on. */
  health: string;
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

export async function startMeilisearch(apiKey = 'meili-master-key-of-tests'): Promise<Meilisearch> {
  const tasks: SimulatedTask[] = [];
  const documents: Meilisearch['documents'] = new Map();
  const indexOf = (uid: string): Map<string, Document> => {
    if (!documents.has(uid)) documents.set(uid, new Map());
    return documents.get(uid)!;
  };
  let server: Server | undefined;
  let port = 0;
  const answer = (path: URL, { method, headers }: IncomingMessage, body: string): [number, object] => {
    if (path.pathname === '/health') return [200, { status: self.health }];
    if (headers.authorization !== `Bearer ${apiKey}`)
      return [403, problem('invalid_api_key', 'The provided API key is invalid.', 'auth')];
    const [, uid = '', what, id = ''] =
      /^\/indexes\/([\w-]+)\/(documents|search)(?:\/([\w-]+))?$/.exec(path.pathname) ?? [];
    if (what === 'search' && method === 'POST')
      return [200, search([...(documents.get(uid)?.values() ?? [])], body)];
    if (what === 'documents' && method === 'POST') {
      const key = path.searchParams.get('primaryKey') ?? 'id';
      for (const one of JSON.parse(body) as Document[]) indexOf(uid).set(String(one[key]), one);
      return [202, summaryOf(self.enqueue(uid))];
    }
    if (what === 'documents' && method === 'DELETE') {
      indexOf(uid).delete(id);
      return [202, summaryOf(Object.assign(self.enqueue(uid), { type: 'documentDeletion' }))];
    }
    if (path.pathname === '/tasks') return [200, list(tasks, path.searchParams)];
    const task = tasks.find(({ uid }) => path.pathname === `/tasks/${uid}`);
    if (task !== undefined) return [200, task];
    return [404, problem('not_found', 'Not found.', 'invalid_request')];
  };
  const up = async (): Promise<void> => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const [status, body] = answer(new URL(request.url!, 'http://x'), request, text);
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  };
  const down = async (): Promise<void> => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(0) : server.close(resolve)));
    server = undefined;
  };
  await up();
  const self: Meilisearch = {
    url: `http://127.0.0.1:${port}`,
    apiKey,
    tasks,
    documents,
    health: 'available',
    enqueue: (indexUid, fails) => {
      const now = new Date().toISOString();
      const task: SimulatedTask = {
        ...{ uid: tasks.length, indexUid, type: 'documentAdditionOrUpdate' },
        ...{ enqueuedAt: now, startedAt: now, finishedAt: now },
        status: fails === undefined ? 'succeeded' : 'failed',
        error: fails === undefined ? null : problem(fails.code, fails.message, 'invalid_request'),
      };
      tasks.push(task);
      return task;
    },
    down,
    up,
    stop: down,
  };
  return self;
}

function problem(code: string, message: string, type: string) {
  return { message, code, type, link: `https://docs.meilisearch.com/errors#${code}` };
}

/** What a request that changes something is answered with, before it is done. */
function summaryOf({ uid, indexUid, type, enqueuedAt }: SimulatedTask) {
  return { taskUid: uid, indexUid, status: 'enqueued', type, enqueuedAt };
}

function search(documents: Document[], body: string) {
  const { q = '', limit = 20 } = JSON.parse(body) as { q?: string; limit?: number };
  const wanted = wordsOf(q);
  const found = documents.filter((one) => {
    const words = wordsOf(Object.values(one).join(' '));
    return wanted.every((word) => words.some((other) => other.startsWith(word)));
  });
  return {
    hits: found.slice(0, limit),
    query: q,
    ...{ limit, offset: 0, estimatedTotalHits: found.length, processingTimeMs: 0 },
  };
}

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/** The newest first, unless reversed, as the real one lists them. */
function list(tasks: SimulatedTask[], parameters: URLSearchParams) {
  const statuses = parameters.get('statuses')?.split(',');
  const after = parameters.get('afterFinishedAt');
  const found = tasks.filter(
    ({ status, finishedAt }) =>
      (statuses?.includes(status) ?? true) &&
      (after === null || (finishedAt ?? '') > new Date(after).toISOString()),
  );
  if (parameters.get('reverse') !== 'true') found.reverse();
  const limit = Number(parameters.get('limit') ?? 20);
  const results = found.slice(0, limit);
  const next = found[limit]?.uid ?? null;
  return { results, total: found.length, limit, from: results[0]?.uid ?? null, next };
}

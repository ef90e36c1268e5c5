/** Meilisearch as its client sees it: health, and tasks with filters, states and times. Keeps state between requests. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SimulatedTask {
  uid: number;
  indexUid: string;
  status: 'enqueued' | 'processing' | 'succeeded' | 'failed';
  type: 'documentAdditionOrUpdate';
  enqueuedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  error: { message: string; code: string; type: string; link: string } | null;
}

export interface Meilisearch {
  url: string;
  apiKey: string;
  tasks: SimulatedTask[];
  /** Takes a document; returns the task, which succeeds at once unless `fails` says why not. */
  enqueue(indexUid: string, fails?: { code: string; message: string }): SimulatedTask;
  /** What `GET /health` says from now on. */
  health: string;
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

export async function startMeilisearch(): Promise<Meilisearch> {
  const apiKey = 'meili-master-key-of-tests';
  const tasks: SimulatedTask[] = [];
  let server: Server | undefined;
  let port = 0;
  const answer = (path: URL, authorization: string | undefined): [number, object] => {
    if (path.pathname === '/health') return [200, { status: self.health }];
    if (authorization !== `Bearer ${apiKey}`)
      return [403, problem('invalid_api_key', 'The provided API key is invalid.', 'auth')];
    if (path.pathname === '/tasks') return [200, list(tasks, path.searchParams)];
    const task = tasks.find(({ uid }) => path.pathname === `/tasks/${uid}`);
    if (task !== undefined) return [200, task];
    return [404, problem('not_found', 'Not found.', 'invalid_request')];
  };
  const up = async (): Promise<void> => {
    server = createServer((request, response) => {
      const [status, body] = answer(new URL(request.url!, 'http://x'), request.headers.authorization);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
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

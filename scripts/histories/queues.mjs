// What the runbooks of queues find: jobs that failed and can be done now, and a Meilisearch that is up.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const require = createRequire(import.meta.url);
const { freePort } = require(join(root, 'dist/src/host/guardian.js'));
const { queuesSchema, searchSchema } = require(join(root, 'dist/src/activities/queues/settings.js'));

let started;
let working;

/** In a Redis of their own, which ends with this process. */
export async function leaveFailedJobs({ config, directory }) {
  started ??= startServers(directory);
  const { port, search } = await started;
  const { production } = config.services.booking.environments;
  production.queues = queuesSchema.parse({
    redis: { url: `redis://127.0.0.1:${port}` },
    names: [{ name: 'indexing' }],
    windowSeconds: 2,
  });
  production.search = searchSchema.parse({ queue: 'indexing', url: search });
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
  await working?.close();
  const queue = new Queue('indexing', { connection });
  const failing = new Worker('indexing', () => Promise.reject(new Error('connection refused')), {
    connection,
  });
  await queue.addBulk(Array.from({ length: 7 }, () => ({ name: 'index', data: {} })));
  while ((await queue.getFailedCount()) < 7) await new Promise((resolve) => setTimeout(resolve, 50));
  await failing.close();
  working = new Worker('indexing', () => Promise.resolve(), { connection });
}

async function startServers(directory) {
  const port = await freePort();
  const folder = join(directory, 'redis');
  mkdirSync(folder, { recursive: true });
  const server = spawn(
    'redis-server',
    ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    {
      stdio: 'ignore',
    },
  );
  process.once('exit', () => server.kill('SIGKILL'));
  const client = new Redis(port, { maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  await client.ping();
  client.disconnect();
  const search = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"available"}'),
  );
  await new Promise((resolve) => search.listen(0, '127.0.0.1', resolve));
  return { port, search: `http://127.0.0.1:${search.address().port}` };
}

/** The process that makes what the test files of one run share: `process.ts <folder> <socket>`. */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Answer, Makers } from './ask';

const [directory, socket] = process.argv.slice(2) as [string, string];
const folder = (name: string): string => {
  const path = join(directory, name);
  mkdirSync(path);
  return path;
};
let bundles = 0;

// Loaded when it is asked for: a file that needs a cluster need not wait for webpack.
const makers: Makers = {
  bundle: async (path) => {
    const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
    const { code } = await bundleWorkflowCode({
      workflowsPath: path,
      workflowInterceptorModules: [require.resolve('../../../src/workflows/kit/ahead-of-history')],
      logger: new DefaultLogger('ERROR'),
    });
    const file = join(directory, `bundle-${(bundles += 1)}.js`);
    writeFileSync(file, code);
    return file;
  },

  cluster: async () => {
    const { initCluster } = await import('../../../src/host/postgres.js');
    const directory = folder('cluster');
    await initCluster({ directory });
    return directory;
  },

  bookingCluster: async (bookings) => {
    const { startPostgres } = await import('../../../src/host/postgres.js');
    const { setUpBooking } = await import('../../../examples/booking/setup.js');
    const { copyCluster } = await import('./cluster.js');
    const directory = folder(`booking-${bookings}`);
    copyCluster((await make('cluster')) as string, directory);
    const server = await startPostgres({ directory, settings: { fsync: 'off' } });
    const sample = folder(`booking-${bookings}-sample`);
    await setUpBooking({ adminUrl: server.url, directory: sample, bookings });
    await server.stop();
    return directory;
  },
};

const made = new Map<string, Promise<unknown>>();

function make(what: keyof Makers, ...args: unknown[]): Promise<unknown> {
  const key = JSON.stringify([what, ...args]);
  let making = made.get(key);
  if (making === undefined) {
    making = (makers[what] as (...given: unknown[]) => Promise<unknown>)(...args);
    made.set(key, making);
  }
  return making;
}

async function answer(line: string): Promise<Answer> {
  try {
    const [what, ...args] = JSON.parse(line) as [keyof Makers, ...unknown[]];
    return { made: await make(what, ...args) };
  } catch (error) {
    appendFileSync(join(directory, 'log'), `${line}: ${(error as Error).stack}\n`);
    return { problem: (error as Error).message };
  }
}

const server = createServer((asking: Socket) => {
  asking.on('error', () => undefined);
  createInterface(asking).once('line', (line) => {
    void answer(line).then((text) => asking.end(JSON.stringify(text)));
  });
});
server.listen(socket);

process.once('SIGTERM', () => {
  // Jest does so too, unless it was killed.
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 500 });
  process.exit(0);
});

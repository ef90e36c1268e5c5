import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { freePort, logTail, spawnGuarded, type Guarded } from '../host/guardian';
import { obtainTestServer } from './test-server';
import { registerSearchAttributes } from '../worker/search-attributes';
import { isListening } from '../host/listening';

/** The SDK's own start of the server gives it five seconds, which a busy machine does not have for Java. */
const environments = TestWorkflowEnvironment as unknown as {
  create(options: {
    server: { type: 'existing' };
    supportsTimeSkipping: true;
    address: string;
  }): Promise<TestWorkflowEnvironment>;
};

/** Longer than one thing that may rightly hold the clock. */
const STUCK_MS = 40_000;

/**
 * A time-skipping environment that knows our search attributes. One per test file; its clock is shared by everything
 * in it. `result()` moves the clock to a closed run's timeout: start runs with `workflowRunTimeout`.
 */
export async function createTimeSkippingEnvironment(stuckMs = STUCK_MS): Promise<TestWorkflowEnvironment> {
  const directory = mkdtempSync(join(tmpdir(), 'time-skipping-'));
  const { server, address } = await startServer(directory);
  const environment = await environments.create({
    server: { type: 'existing' },
    supportsTimeSkipping: true,
    address,
  });
  await registerSearchAttributes(environment.connection, environment.namespace ?? 'default');
  releaseStuckClock(environment, stuckMs);
  const disconnect = environment.teardown.bind(environment);
  environment.teardown = async () => {
    await disconnect();
    await server.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  return environment;
}

/** Of an environment, what the release of its clock needs. */
export interface Clock {
  connection: object;
  client: { workflow: { result(...args: never[]): Promise<unknown> } };
  sleep(duration: never): Promise<void>;
  currentTimeMs(): Promise<number>;
}

/**
 * On a busy machine the server sometimes keeps a lock of its clock that nobody holds any more, and whoever waits for a timer
 * waits for ever. Where the clock has skipped nothing for so long, a lock is taken off; where there is none, the server refuses
 * that, and nothing happens. While it skips its locks are held rightly: without them it would skip the work of a step too.
 */
export function releaseStuckClock(environment: Clock, stuckMs: number): void {
  const { testService } = environment.connection as {
    testService: { unlockTimeSkipping(request: object): Promise<unknown> };
  };
  const release = async (before: Promise<number>): Promise<void> => {
    const skipped = (await environment.currentTimeMs()) - (await before);
    if (skipped < 2 * stuckMs) await testService.unlockTimeSkipping({});
  };
  const watched =
    <A extends never[], R>(wait: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const now = () => environment.currentTimeMs();
      let before = now();
      before.catch(() => undefined);
      const timer = setInterval(() => {
        before = release(before)
          .catch(() => undefined)
          .then(now);
        before.catch(() => undefined);
      }, stuckMs);
      try {
        return await wait(...args);
      } finally {
        clearInterval(timer);
      }
    };
  const { workflow } = environment.client;
  workflow.result = watched(workflow.result.bind(workflow));
  environment.sleep = watched(environment.sleep.bind(environment));
}

const PORT_TRIES = 5;

async function startServer(directory: string): Promise<{ server: Guarded; address: string }> {
  const { path } = await obtainTestServer();
  const logFile = join(directory, 'log');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const server = await spawnGuarded({ program: path, args: [String(port)], logFile });
    while (server.running()) {
      if (await isListening({ host: '127.0.0.1', port })) return { server, address: `127.0.0.1:${port}` };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // Somebody else took the port, or it cannot start at all.
    if (attempt >= PORT_TRIES) throw new Error(`the test server did not start:\n${logTail(logFile)}`);
  }
}

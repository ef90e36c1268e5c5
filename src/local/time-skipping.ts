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

/**
 * A time-skipping environment that knows our search attributes. One per test file; its clock is shared by everything
 * in it. `result()` moves the clock to a closed run's timeout: start runs with `workflowRunTimeout`.
 */
export async function createTimeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  const directory = mkdtempSync(join(tmpdir(), 'time-skipping-'));
  const { server, address } = await startServer(directory);
  const environment = await environments.create({
    server: { type: 'existing' },
    supportsTimeSkipping: true,
    address,
  });
  await registerSearchAttributes(environment.connection, environment.namespace ?? 'default');
  const disconnect = environment.teardown.bind(environment);
  environment.teardown = async () => {
    await disconnect();
    await server.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  return environment;
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

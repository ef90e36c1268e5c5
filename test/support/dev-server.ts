import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { startTemporal } from '../../src/local/temporal';

/**
 * A real server, whose clock nobody moves. For what needs no skipped time: the time-skipping server never hands out a
 * workflow's next task again once a timer fired while the task that cancels it was under way (temporalio/sdk-java 2606, 3088).
 */
export async function createDevEnvironment(): Promise<TestWorkflowEnvironment> {
  const directory = mkdtempSync(join(tmpdir(), 'dev-server-'));
  const temporal = await startTemporal({ directory, ephemeral: true });
  const environment = await TestWorkflowEnvironment.createFromExistingServer({ address: temporal.address });
  const disconnect = environment.teardown.bind(environment);
  environment.teardown = async () => {
    await disconnect();
    await temporal.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  return environment;
}

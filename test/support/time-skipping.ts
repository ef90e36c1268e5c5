import { TestWorkflowEnvironment } from '@temporalio/testing';
import { obtainTestServer } from '../../src/local/test-server';
import { registerSearchAttributes } from '../../src/worker/search-attributes';

/**
 * A time-skipping environment that knows our search attributes. One per test file; its clock is shared by everything
 * in it. `result()` moves the clock to a closed run's timeout: start runs with `workflowRunTimeout`.
 */
export async function createTimeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  const { path } = await obtainTestServer();
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path } },
  });
  await registerSearchAttributes(environment.connection, environment.namespace ?? 'default');
  return environment;
}

import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietTemporal } from '../../support/quiet';

quietTemporal();
jest.setTimeout(120_000);

/** Of a run by an alert that ended sessions and then failed, when that still ended as FAILED and told one guard less. */
it('a run that left something changed before PARTIAL was an outcome replays as what it ended as', async () => {
  const history = JSON.parse(
    readFileSync(join(__dirname, 'histories', 'failed-before-partial.json'), 'utf8'),
  ) as object;
  const workflowBundle = await bundleWorkflowCode({ workflowsPath: require.resolve('./fixtures') });
  await Worker.runReplayHistory({ workflowBundle }, history, 'leaving-old');
});

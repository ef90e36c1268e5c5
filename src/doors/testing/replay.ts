import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { bundleOf } from '../../build/workflow-bundle';
import { temporalOptions } from '../../config/temporal';
import type { LoadedProject } from '../../packs/definition/combine';

/** Replays the history of a run with today's code. Throws DeterminismViolationError when that would do something else. */
export async function replay(
  handle: WorkflowHandle,
  project: Pick<LoadedProject, 'installed' | 'directory' | 'temporal'>,
): Promise<void> {
  const { code } = await bundleOf(project);
  const { dataConverter } = temporalOptions(project).client;
  await Worker.runReplayHistory(
    { workflowBundle: { code }, dataConverter },
    await handle.fetchHistory(),
    handle.workflowId,
  );
}

import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { bundleOf } from '../../build/workflow-bundle';
import type { LoadedProject } from '../../packs/definition/combine';

/** Replays the history of a run with today's code. Throws DeterminismViolationError when that would do something else. */
export async function replay(
  handle: WorkflowHandle,
  project: Pick<LoadedProject, 'installed' | 'directory'>,
): Promise<void> {
  const { code } = await bundleOf(project);
  await Worker.runReplayHistory({ workflowBundle: { code } }, await handle.fetchHistory(), handle.workflowId);
}

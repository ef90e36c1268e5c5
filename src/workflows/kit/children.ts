import { CancellationScope, startChild } from '@temporalio/workflow';
import type { RunReport } from '../../report/types';
import { causeOf } from './failure';
import { endEntry, startEntry, type RunState } from './state';

/** What became of a runbook that this run started. */
export interface ChildRun {
  runbook: string;
  workflowId: string;
  /** An outcome of a run, or the type of the failure that kept it from having one, e.g. InvalidInput. */
  outcome: string;
  summary: string;
}

/** Other runbooks as part of this run. */
export function createChildren(state: RunState) {
  /**
   * Runs another runbook to its end. A bad outcome of it is a result, not an error; only a cancellation of this run is
   * thrown, and cancels it too.
   */
  async function child(title: string, runbook: string, input: Record<string, unknown>): Promise<ChildRun> {
    const workflowId = `${state.report.workflowId}/${runbook}-${state.report.timeline.length}`;
    const entry = startEntry(state, title, 'running', workflowId);
    try {
      const handle = await startChild(runbook, {
        workflowId,
        args: [input],
        parentClosePolicy: 'REQUEST_CANCEL',
        ...(state.holdsPlace ? { memo: { inPlaceOfParent: true } } : {}),
      });
      const { outcome = 'SUCCEEDED', summary } = (await handle.result()) as RunReport;
      endEntry(state, entry, 'done', `${outcome}: ${summary}`);
      return { runbook, workflowId, outcome, summary };
    } catch (error) {
      const { type, message } = causeOf(error);
      endEntry(state, entry, 'failed', message);
      // Somebody may also have cancelled only the child.
      if (CancellationScope.current().consideredCancelled) throw error;
      return { runbook, workflowId, outcome: type, summary: message };
    }
  }

  return { child };
}

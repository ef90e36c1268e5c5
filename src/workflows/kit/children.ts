import {
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowFailure,
  condition,
  startChild,
  TerminatedFailure,
  TimeoutFailure,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import type { RunReport } from '../../contract/report';
import { addUnknownChange, takeOverChanges } from './changes';
import { causeOf } from './failure';
import { priorityOf } from '../../contract/priority';
import type { ChildRun } from './run';
import { endEntry, now, startEntry, type RunState } from './state';
import type { AlertNotice } from '../../contract/alert';

/** Other runbooks as part of this run. */
export function createChildren(state: RunState) {
  let started = 0;

  /**
   * Runs another runbook to its end. A bad outcome of it is a result, not an error; only a cancellation of this run is
   * thrown, and cancels it too. `began` is told its workflow ID once it runs.
   */
  async function child(
    title: string,
    runbook: string,
    input: Record<string, unknown>,
    began?: (workflowId: string) => void,
  ): Promise<ChildRun> {
    started += 1;
    const workflowId = `${state.report.workflowId}/${runbook}-${started}`;
    const entry = startEntry(state, title, 'running', workflowId);
    let ended = false;
    let runs = false;
    try {
      const handle = await startChild(runbook, {
        workflowId,
        args: [input],
        parentClosePolicy: 'REQUEST_CANCEL',
        memo: { inPlaceOfParent: true },
        priority: priorityOf(state.policy),
      });
      void passAlertOn(state, handle, () => ended);
      runs = true;
      began?.(workflowId);
      const { outcome = 'SUCCEEDED', summary, changes } = (await handle.result()) as RunReport;
      takeOverChanges(state, runbook, changes);
      endEntry(state, entry, 'done', `${outcome}: ${summary}`);
      return { runbook, workflowId, outcome, summary };
    } catch (error) {
      const { type, message } = causeOf(error);
      endEntry(state, entry, 'failed', message);
      const { changes, instead } = reportOf(error);
      takeOverChanges(state, runbook, changes);
      if (runs && wasCutOff(error))
        addUnknownChange(state, title, `${runbook} ${workflowId} ended without a report`);
      // Somebody may also have cancelled only the child.
      if (CancellationScope.current().consideredCancelled) throw error;
      return {
        runbook,
        workflowId,
        outcome: type,
        summary: message,
        ...(instead === undefined ? {} : { instead }),
      };
    } finally {
      ended = true;
    }
  }

  return { child };
}

/** Terminated or timed out: it could not say what it had changed. A refused input, and a cancellation, changed nothing. */
function wasCutOff(error: unknown): boolean {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : undefined;
  return cause instanceof TerminatedFailure || cause instanceof TimeoutFailure;
}

/** What a run that did not reach its end tells about itself; empty where it could not. */
function reportOf(error: unknown): Partial<RunReport> {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : undefined;
  const [report] = cause instanceof ApplicationFailure ? (cause.details ?? []) : [];
  return report ?? {};
}

/** The sender of the alert knows only this run: that it is resolved, or fires again, goes on to the child. */
async function passAlertOn(
  state: RunState,
  child: ChildWorkflowHandle<() => Promise<unknown>>,
  ended: () => boolean,
): Promise<void> {
  try {
    for (let told: string | undefined; ;) {
      await condition(() => ended() || state.alert.resolvedAt !== told);
      if (ended()) return;
      told = state.alert.resolvedAt;
      const notice: AlertNotice = {
        status: told === undefined ? 'firing' : 'resolved',
        count: 0,
        at: told ?? now(),
      };
      await child.signal('alert', notice);
    }
  } catch {
    // This run is cancelled, or the child ended before it heard.
  }
}

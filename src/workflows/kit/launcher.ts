import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { getExternalWorkflowHandle, isCancellation, startChild } from '@temporalio/workflow';
import type { AlertNotice } from '../../contract/alert';
import { priorityOf } from '../../contract/priority';
import { causeOf } from './failure';
import type { Launched, Run } from './run';
import { endEntry, now, startEntry, type RunState } from './state';

/** It may end between being found open and being told: then there is none. */
const ROUNDS = 3;

/** Other runbooks that go on when this run has ended. */
export function createLauncher(state: RunState): Pick<Run, 'launch'> {
  async function launch(
    title: string,
    runbook: string,
    key: string,
    input: Record<string, unknown>,
    news?: string,
  ): Promise<Launched> {
    const workflowId = `${runbook}/${state.report.service}/${key}`;
    const entry = startEntry(state, title, 'running', workflowId);
    try {
      const isNew = await startOrTell(runbook, workflowId, input, news);
      endEntry(state, entry, 'done', `${workflowId} ${isNew ? 'was started' : 'is open, and was told'}`);
      return { workflowId, isNew };
    } catch (error) {
      endEntry(state, entry, 'failed', causeOf(error).message);
      throw error;
    }
  }

  async function startOrTell(
    runbook: string,
    workflowId: string,
    input: Record<string, unknown>,
    news?: string,
  ): Promise<boolean> {
    for (let round = 1; ; round += 1) {
      try {
        await startChild(runbook, {
          workflowId,
          args: [input],
          parentClosePolicy: 'ABANDON',
          // Otherwise a cancellation of this run, while it still goes on, cancels that one too.
          cancellationType: 'ABANDON',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          priority: priorityOf(state.policy),
        });
        return true;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
      const notice: AlertNotice = {
        ...{ status: 'firing', count: 1, at: now(), startsAt: now() },
        ...(news === undefined ? {} : { news }),
      };
      try {
        await getExternalWorkflowHandle(workflowId).signal('alert', notice);
        return false;
      } catch (error) {
        if (isCancellation(error) || round === ROUNDS) throw error;
      }
    }
  }

  return { launch };
}

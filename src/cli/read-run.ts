import type { RunReport, RunStatus } from '../contract/report';
import type { Temporal } from './connect';

const QUERY_TIMEOUT_MS = 3_000;

/** A run as the command line shows it. */
export interface RunView {
  status: string;
  runId: string;
  /** The run's own words; its report from the history where no worker answers. */
  report: RunReport & Partial<Pick<RunStatus, 'waiting'>>;
  /** False while it runs and no worker answers. */
  answered: boolean;
  taskQueue: string;
}

/** Reads a run: the `status` query while it runs, else the memo, else the history. Throws WorkflowNotFoundError. */
export async function readRun(temporal: Temporal, workflowId: string, runId?: string): Promise<RunView> {
  const { client } = temporal;
  const description = await client.workflow.getHandle(workflowId, runId).describe();
  const view = {
    status: description.status.name as string,
    runId: description.runId,
    taskQueue: description.taskQueue,
  };
  if (view.status === 'RUNNING') {
    const status = await queryStatus(temporal, workflowId, view.runId);
    if (status !== undefined) return { ...view, report: status, answered: true };
  }
  const { reportFromHistory } = await import('../report/history/read-history.js');
  const report = await reportFromHistory(client, workflowId, view.runId);
  return { ...view, report, answered: view.status !== 'RUNNING' };
}

/** The answer to the `status` query, undefined when no worker answers in time or it is no runbook. */
export async function queryStatus(
  { client, within }: Temporal,
  workflowId: string,
  runId?: string,
): Promise<RunStatus | undefined> {
  try {
    const handle = client.workflow.getHandle(workflowId, runId);
    return await within(QUERY_TIMEOUT_MS, () => handle.query<RunStatus>('status'));
  } catch {
    return undefined;
  }
}

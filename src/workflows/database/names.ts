import { workflowInfo } from '@temporalio/workflow';

/** Name for what this run makes (backup, disposable cluster, copy): known before it is made, equal on every retry. */
export function nameForRun(): string {
  const { startTime, runId } = workflowInfo();
  const stamp = startTime.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${runId.slice(-8)}`;
}

import { workflowInfo } from '@temporalio/workflow';
import type { DatabaseRef, Place } from '../../contract/place';

export function databaseIn({ service, environment }: Place, database?: string): DatabaseRef {
  return { kind: 'service', service, environment, ...(database === undefined ? {} : { database }) };
}

/** Name for what this run makes (backup, disposable cluster, copy): known before it is made, equal on every retry. */
export function nameForRun(): string {
  const { startTime, runId } = workflowInfo();
  const stamp = startTime.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${runId.slice(-8)}`;
}

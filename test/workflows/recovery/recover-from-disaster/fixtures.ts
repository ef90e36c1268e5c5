/** What the worker of these tests offers: the recovery itself, and its parts, which end as the test says. */
import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { RunReport } from '../../../../src/contract/report';
import type { Part, PartEnd } from './world';

export { guard } from '../../../../src/workflows/guard/guard';
export { recoverFromDisaster } from '../../../../src/workflows/recovery/recover-from-disaster/recover-from-disaster';

const { play } = proxyActivities<{ play: (part: Part) => Promise<PartEnd> }>({
  startToCloseTimeout: '1 minute',
});

const partOf = (runbook: string) => async (input: Record<string, unknown>) => {
  const { outcome, summary, instead } = await play({ runbook, input });
  const report = { outcome, summary, changes: [], instead } as unknown as RunReport;
  if (['SUCCEEDED', 'NOTHING_TO_DO'].includes(outcome)) return report;
  throw ApplicationFailure.create({
    ...{ type: outcome, message: `${outcome}: ${summary}`, details: [report] },
    nonRetryable: true,
  });
};

export const restoreDatabase = partOf('restoreDatabase');
export const rollBackDeployment = partOf('rollBackDeployment');
export const respondToIncident = partOf('respondToIncident');

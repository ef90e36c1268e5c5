import { metricMeter } from '@temporalio/workflow';
import type { RunReport } from '../../contract/report';

/** Counts a run that ended, by what came of it. Not counted again on replay, and no part of the history. */
export function countRun({ runbook, service, outcome = 'FAILED', startedAt, endedAt }: RunReport): void {
  const labels = { runbook, service, outcome };
  const seconds = endedAt === undefined ? 0 : (Date.parse(endedAt) - Date.parse(startedAt)) / 1_000;
  metricMeter.createCounter('runbooks_runs_total', undefined, 'Runs that ended').add(1, labels);
  metricMeter
    .createHistogram('runbooks_run_duration_seconds', 'float', 's', 'From the start of a run to its end')
    .record(seconds, labels);
}

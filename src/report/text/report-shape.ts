import type { RunReport } from '../../contract/report';

/** Whether a value from a memo, a query or a failure is a report. Other workflows may use the same names. */
export function isReport(value: unknown): value is RunReport {
  if (value === null || typeof value !== 'object') return false;
  const report = value as Partial<Record<keyof RunReport, unknown>>;
  const texts = [report.runbook, report.title, report.workflowId, report.startedAt, report.summary];
  return (
    texts.every((text) => typeof text === 'string') &&
    Array.isArray(report.timeline) &&
    Array.isArray(report.approvals) &&
    report.facts !== null &&
    typeof report.facts === 'object'
  );
}

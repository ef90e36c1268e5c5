import { countOf, duration, type Run } from '../../kit';
import { climb } from './clocks';
import { policyOf, type Incident } from './incident';
import { pageText } from './texts';

/** Pages the rung that was reached. */
export async function page(incident: Incident, run: Run, why: string): Promise<void> {
  const { clocks, record } = incident;
  clocks.pagedAt = Date.now();
  record.pages += 1;
  const rung = run.policy.ladder[clocks.rung] ?? 'every channel';
  run.note(`Paged ${rung}`, why);
  await run.page(pageText(incident, run, why), { rung: clocks.rung, severity: record.severity });
}

/** Nobody answered the last page: the next rung. */
export async function climbUnacknowledged(incident: Incident, run: Run): Promise<void> {
  const { clocks, record } = incident;
  const waited = duration(Date.now() - clocks.openedAt);
  climb(clocks, 'acknowledge', run.policy.ladder.length, Date.now());
  record.escalations.push(`nobody acknowledged within ${waited}`);
  await page(incident, run, `nobody acknowledged within ${waited} (${countOf(record.pages, 'page')} before)`);
}

/** It takes too long: the next rung, whether somebody works on it or not. */
export async function escalateUnresolved(incident: Incident, run: Run): Promise<void> {
  const { clocks, record } = incident;
  const waited = duration(Date.now() - clocks.openedAt);
  const limit = duration(policyOf(incident).escalateMs[record.severity]);
  climb(clocks, 'escalate', run.policy.ladder.length, Date.now());
  clocks.escalatedAt = Date.now();
  record.escalations.push(`${record.severity} unresolved for ${waited}`);
  await page(incident, run, `unresolved for ${waited}; ${record.severity} is escalated every ${limit}`);
}

import { countOf, duration, type Run } from '../../kit';
import { climb } from './clocks';
import { policyOf, type Incident } from './incident';
import { pageText } from './texts';

/** Pages the rung that was reached, and writes down who really was. */
export async function page(incident: Incident, run: Run, why: string): Promise<void> {
  const { clocks, record } = incident;
  clocks.pagedAt = Date.now();
  const { told, rung, wanted } = await run.page(pageText(incident, run, why), {
    rung: clocks.rung,
    severity: record.severity,
  });
  if (told.length > 0) {
    record.pages += 1;
    run.note(`Paged ${rung ?? told.join(', ')}`, rung === undefined ? why : `${why}; by ${told.join(', ')}`);
  } else if (!wanted && !incident.saidUnpaged) {
    incident.saidUnpaged = true;
    run.note(
      'Nobody is paged',
      `${why}; ${run.policy.service} has no channel: add \`notify\` to its configuration`,
      {
        failed: true,
      },
    );
  }
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
  await page(incident, run, `unresolved for ${waited}; ${record.severity} is escalated after ${limit}`);
}

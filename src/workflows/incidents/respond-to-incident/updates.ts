import { duration, type Run } from '../../kit';
import { updateEveryMs } from './clocks';
import { policyOf, type Incident } from './incident';
import { measure } from './measure';
import { doing, statusText } from './texts';

/** Tells everybody where it stands, with a fresh measurement, and when they will hear the next. */
export async function sendUpdate(incident: Incident, run: Run, why: string): Promise<void> {
  const { clocks, record } = incident;
  await measure(incident, run);
  // From now, not from when it was due: what is told is as old as this.
  clocks.updatedAt = Date.now();
  const next = new Date(clocks.updatedAt + updateEveryMs(policyOf(incident), record, clocks)).toISOString();
  record.nextUpdateAt = next;
  const told = await run.announce(statusText(incident, next), { severity: record.severity });
  record.updates += 1;
  const to = told.length === 0 ? 'nobody was told' : `told ${told.join(', ')}`;
  run.note(`Status update ${record.updates}: ${why}`, `${doing(record)}; ${record.measured}; ${to}`);
}

/** The clock of status updates rang. */
export async function sendDueUpdate(incident: Incident, run: Run): Promise<void> {
  const { clocks, record } = incident;
  const before = updateEveryMs(policyOf(incident), record, clocks);
  clocks.automaticUpdates += 1;
  const after = updateEveryMs(policyOf(incident), record, clocks);
  if (after !== before) run.note('Status updates come less often', `from now on every ${duration(after)}`);
  await sendUpdate(incident, run, 'due');
}

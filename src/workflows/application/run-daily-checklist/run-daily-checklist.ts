import { isCancellation } from '@temporalio/workflow';
import type { ChecklistScope } from '../../../activities/application/checklist';
import type { InputOf } from '../../../catalogue/card';
import type { ChecklistItem, ChecklistRecord, Counters } from '../../../contract/checklist';
import type { Place } from '../../../contract/place';
import { now, runbook, utc, type Run } from '../../kit';
import { applicationItems } from './application-items';
import { backupItem } from './backup-item';
import type { runDailyChecklistCard } from './card';
import { databaseItems } from './database-items';
import { planOf } from './incident';
import { readItem, type Item } from './item';
import { logItems } from './log-items';
import { showItems } from './show';
import { tell } from './tell';

type Input = InputOf<typeof runDailyChecklistCard>;

/** Looks at everything that people look at every morning, tells it in one report, and opens an incident for what is red. */
export const runDailyChecklist = runbook<typeof runDailyChecklistCard>(
  'runDailyChecklist',
  async (input, run) => {
    const place = { service: input.service, environment: input.environment };
    const scope = await run.step('What is on the checklist', (act) => act.readChecklist(place));
    const record: ChecklistRecord = { items: [], counters: { at: now() } };
    const items = await itemsOf(run, input, place, scope, record.counters);
    record.items = await Promise.all(
      items.map(async (item) => ('read' in item ? readItem(run, item) : item)),
    );
    showItems(run, record);

    // It changes nothing, and while automation is paused people want to know all the more.
    await run.plan(planOf(place, record.items), { alsoWhilePaused: true });
    return tell(run, place, record.items, input.startedBy);
  },
);

async function itemsOf(
  run: Run,
  { startedBy }: Input,
  place: Place,
  scope: ChecklistScope,
  counters: Counters,
): Promise<(Item | ChecklistItem)[]> {
  const before = await readBefore(run, place);
  // Where the log cannot be read today, the next one reads of today too.
  if (before?.logs !== undefined) counters.logs = before.logs;
  return [
    ...applicationItems(place, scope),
    ...logItems(place, scope, logsSince(before), counters),
    ...databaseItems(place, scope, before, counters),
    backupItem(place, scope, startedBy, run.objective('backupMaxAgeSeconds')),
  ];
}

/** Without it everything is told since it is counted. */
async function readBefore(run: Run, place: Place): Promise<Counters | null> {
  const tells = run.policy.mode !== 'observe';
  try {
    return await run.step('The checklist before', (act) => act.readCountersBefore({ ...place, tells }), {
      describe: (before) => (before === null ? 'there is none' : `of ${utc(before.at)} UTC`),
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    return null;
  }
}

const DAY_MS = 86_400_000;
/** After a long weekend; what is older is nobody's news. */
const MAX_LOG_MS = 4 * DAY_MS;

function logsSince(before: Counters | null): string {
  const since = before?.logs === undefined ? Date.now() - DAY_MS : Date.parse(before.logs);
  return new Date(Math.max(since, Date.now() - MAX_LOG_MS)).toISOString();
}

import { ApplicationFailure, sleep } from '@temporalio/workflow';
import { countOf, duration, percent, type PlanDraft, type Run, runbook, type Verdict } from '../../kit';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import type { TableState, VacuumReview } from '../../../contract/tuning';
import type { vacuumBloatedTablesCard } from './card';

/** Vacuums tables with many dead rows, off-peak and one after the other. */
export const vacuumBloatedTables = runbook<typeof vacuumBloatedTablesCard>(
  'vacuumBloatedTables',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let review = await diagnose(run, place);
    for (const finding of review.findings) run.note('For people to look at', finding);
    for (const warning of review.warnings) run.note('In the way', warning);
    for (const left of leftForLater(review)) run.note('Left for the next run', left);
    run.fact('findings', review.findings.length);
    if (review.due.length === 0) return run.nothingToDo(enoughSpace(place, review));

    let stale = false;
    await run.gate(async () => {
      if (stale) review = await diagnose(run, place);
      stale = true;
      return draftOf(place, review);
    });
    await untilOffPeak(run, place);
    const tables = review.due.map(({ table }) => table);
    const { done, left } = await run.exclusively(
      targetOf(place),
      (fence) => vacuumAll(run, place, tables, fence, review.settings.tableTimeoutMinutes),
      review.fenceToken,
    );
    run.fact('tablesVacuumed', done.length);
    run.fact('tablesLeftAlone', left.length);
    for (const table of done) await verify(run, place, table, review.settings.deadShare);
    const told = left.length === 0 ? '' : `; left alone: ${left.join('; ')}`;
    if (done.length === 0)
      throw ApplicationFailure.nonRetryable(
        `no table of ${targetOf(place)} was vacuumed${told}`,
        'NothingVacuumed',
      );
    return `${countOf(done.length, 'table')} of ${targetOf(place)} vacuumed: ${done.join(', ')}${told}`;
  },
);

function diagnose(run: Run, place: Place): Promise<VacuumReview> {
  return run.step('Look for dead rows', (act) => act.findBloatedTables(place), {
    describe: ({ due, countedSince }) =>
      `${countOf(due.length, 'table')} over the limits, counted since ${countedSince} at the latest${due.length === 0 ? '' : `: ${due.map(described).join(', ')}`}`,
  });
}

function enoughSpace(place: Place, { findings }: VacuumReview): string {
  const told =
    findings.length === 0 ? '' : `; ${countOf(findings.length, 'finding')} for people in the report`;
  return `no table of ${targetOf(place)} has too many dead rows${told}`;
}

function described({ table, deadRows, liveRows }: TableState): string {
  return `${table} ${deadRows} dead (${share(deadRows, liveRows)})`;
}

const share = (dead: number, live: number): string => percent(dead / Math.max(1, dead + live), 0);

const MAX_NAMED = 20;

function leftForLater({ later = [], due }: VacuumReview): string[] {
  if (later.length === 0) return [];
  const more = later.length > MAX_NAMED ? ` and ${later.length - MAX_NAMED} more` : '';
  return [
    `${countOf(later.length, 'table')} over the limits ${later.length === 1 ? 'is' : 'are'} left for the next run, because \`maxDestructive\` allows ${due.length}: ${later.slice(0, MAX_NAMED).join(', ')}${more}`,
  ];
}

/** Counts come and go by themselves, so only the names of the tables are bound by an approval. */
function draftOf(place: Place, review: VacuumReview): PlanDraft {
  const { due, warnings, settings, offPeak, database } = review;
  return {
    actions: due.map(({ table, running }) => ({
      action: 'VACUUM (ANALYZE)',
      target: targetOf(place),
      detail: `${table}, ${offPeak.window}, at most ${settings.tableTimeoutMinutes} min; left alone where its lock is not free within ${settings.lockTimeoutSeconds} s${running ? '; being vacuumed already' : ''}`,
    })),
    warnings: [...leftForLater(review), ...warnings],
    facts: { database, tables: due.map(({ table }) => table).join(' ') },
  };
}

async function untilOffPeak(run: Run, place: Place): Promise<void> {
  for (;;) {
    const { open, waitMs, window } = await run.look('Is it off-peak?', (act) => act.readOffPeak(place));
    if (open) return;
    run.note('Not off-peak yet', `waits ${duration(waitMs)} for ${window}`);
    run.summary(`waits until it is off-peak: ${window}`);
    await sleep(waitMs);
  }
}

/** Twice, because an attempt waits for the one before it. */
const attemptsMs = (minutes: number): number => 2 * minutes * 60_000;

/** One at a time: two at once would take twice of the disk's time. */
async function vacuumAll(
  run: Run,
  place: Place,
  tables: string[],
  fence: Fence,
  timeoutMinutes: number,
): Promise<{ done: string[]; left: string[] }> {
  const done: string[] = [];
  const left: string[] = [];
  for (const table of tables) {
    const result = await run.step(`Vacuum ${table}`, (act) => act.vacuumTable({ ...place, table, fence }), {
      kind: 'mutate',
      permittedMs: attemptsMs(timeoutMinutes),
      undo: { harmless: `the space of the dead rows of ${table} can be used again` },
      describe: (one) =>
        one.done
          ? `${one.deadBefore} dead rows before, ${one.deadAfter} now; in ${duration(one.durationMs)}`
          : `left alone: ${one.why}`,
    });
    if (result.done) done.push(table);
    else left.push(`${table}: ${result.why}`);
  }
  return { done, left };
}

async function verify(run: Run, place: Place, table: string, deadShare: number): Promise<void> {
  await run.verify(
    `The dead rows of ${table} are gone`,
    (act) => act.readTable({ ...place, table }),
    (found): Verdict => {
      if (found === null) return { ok: true, detail: 'the table itself is gone' };
      const { deadRows, liveRows } = found.state;
      const ok = deadRows / Math.max(1, deadRows + liveRows) < deadShare;
      const why = ok
        ? ''
        : `; a transaction that is older, a replication slot or a replica may hold them back`;
      return { ok, detail: `${found.detail}${why}` };
    },
  );
}

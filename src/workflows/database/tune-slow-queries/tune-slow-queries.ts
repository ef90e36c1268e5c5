import { countOf, duration, type Run, runbook } from '../../kit';
import { type Place, targetOf } from '../../../contract/place';
import type { IndexChange, IndexReview, KnownStatement } from '../../../contract/tuning';
import {
  changeIndexes,
  describeChanges,
  draftOf,
  nothingHolds,
  tellFindings,
  tryOnCopy,
} from '../change-indexes';
import { uncheckedOf } from '../checks';
import { notWatched, readTimes, watchedBy, watchTimes } from '../watch-times';
import type { tuneSlowQueriesCard } from './card';

/** Finds the statements that take too long, gives them indexes that were tried on a copy, and drops those that nothing uses. */
export const tuneSlowQueries = runbook<typeof tuneSlowQueriesCard>(
  'tuneSlowQueries',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    const review = await diagnose(run, place);
    const advice = await askApplication(run, place);
    const plan =
      review.changes.length === 0 ? { changes: [], warnings: [] } : await tryOnCopy(run, place, review);
    await tellFindings(run, place, [...unhelped(review, plan.changes), ...review.findings]);
    if (review.changes.length === 0) return run.nothingToDo(noChange(review));
    if (plan.changes.length === 0) return nothingHolds(run, place, plan);
    const unchecked = [...advice, ...notWatched(run), ...(await uncheckedOf(run, place))];
    await run.gate(() => draftOf(place, review, plan, unchecked));
    await run.exclusively(
      targetOf(place),
      async (fence) => {
        const watched = watchedBy(review, plan.changes);
        const before = await readTimes(run, place, watched);
        await changeIndexes(run, place, review, plan.changes, fence);
        await watchTimes(run, place, watched, before);
      },
      review.fenceToken,
    );
    return describeChanges(run, place, plan.changes);
  },
);

async function diagnose(run: Run, place: Place): Promise<IndexReview> {
  const review = await run.step('Look for slow queries', (act) => act.findSlowQueries(place), {
    describe: ({ slow, countedSince, statementsSeen, settings }) =>
      statementsSeen
        ? `${countOf(slow.length, 'statement')} over ${duration(settings.slowMs)}, counted since ${countedSince} at the latest`
        : 'no statement is known: pg_stat_statements is not there',
  });
  run.fact('slowStatements', review.slow.length);
  for (const one of review.slow) run.note(`Statement ${one.id}`, describeStatement(one));
  for (const warning of review.warnings) run.note('Not seen', warning);
  return review;
}

const MAX_QUERY = 300;

function describeStatement({ calls, meanMs, text }: KnownStatement): string {
  return `${countOf(calls, 'call')} of ${duration(meanMs)} each: ${text.replace(/\s+/g, ' ').slice(0, MAX_QUERY)}`;
}

/** What the application knows of its own queries; whether its advice is good shows on the copy, or to people. */
async function askApplication(run: Run, place: Place): Promise<string[]> {
  const asked = { ...place, what: 'queryRecommendations' as const };
  const { configured } = await run.step(
    'Ask the application for recommendations',
    (act) => act.readApplication(asked),
    {
      describe: ({ detail, body }) => (body === null ? detail : JSON.stringify(body).slice(0, 1_000)),
    },
  );
  return configured
    ? []
    : ['the application recommends nothing: `application.queryRecommendations` is not configured'];
}

/** An index is not the answer to every slow statement. */
function unhelped({ slow }: IndexReview, changes: IndexChange[]): string[] {
  const helped = new Set(changes.flatMap(({ helps }) => helps));
  return slow
    .filter(({ id }) => !helped.has(id))
    .map(
      (one) =>
        `no index was found that helps statement ${one.id}: rewrite it, or cache its result. ${describeStatement(one)}`,
    );
}

function noChange({ slow, statementsSeen, findings }: IndexReview): string {
  const told =
    findings.length === 0 ? '' : `; ${countOf(findings.length, 'finding')} for people in the report`;
  if (!statementsSeen)
    return `no statement is known, and so no index that would help; pg_stat_statements is missing${told}`;
  if (slow.length === 0) return `no statement is slow and no index is unused${told}`;
  return `${countOf(slow.length, 'slow statement')}, and no index that would help${told}`;
}

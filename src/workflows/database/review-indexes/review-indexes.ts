import { countOf, runbook } from '../../kit';
import { targetOf } from '../../../contract/place';
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
import type { reviewIndexesCard } from './card';

/** Tells which indexes are invalid, doubled, unused or missing, and mends what was tried on a copy once it may. */
export const reviewIndexes = runbook<typeof reviewIndexesCard>(
  'reviewIndexes',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    const review = await run.step('Look at the indexes', (act) => act.findIndexProblems(place), {
      describe: ({ changes, findings, countedSince }) =>
        `${countOf(changes.length, 'change')} to try, ${countOf(findings.length, 'finding')} for people; scans counted since ${countedSince} at the latest`,
    });
    await tellFindings(run, place, review.findings);
    for (const warning of review.warnings) run.note('Not seen', warning);
    run.fact('findings', review.findings.length);
    if (review.changes.length === 0) {
      const told =
        review.findings.length === 0
          ? 'nothing is wrong with them'
          : `${countOf(review.findings.length, 'finding')} for people in the report`;
      return run.nothingToDo(`no index of ${targetOf(place)} has to be changed; ${told}`);
    }

    const plan = await tryOnCopy(run, place, review);
    if (plan.changes.length === 0) return nothingHolds(run, place, plan);
    const watched = watchedBy(review, plan.changes);
    const unchecked = [
      ...(watched.writes.length > 0 ? notWatched(run) : []),
      ...(await uncheckedOf(run, place)),
    ];
    await run.gate(() => draftOf(place, review, plan, unchecked));
    await run.exclusively(
      targetOf(place),
      async (fence) => {
        const before = watched.writes.length > 0 ? await readTimes(run, place, watched) : [];
        await changeIndexes(run, place, review, plan.changes, fence);
        if (watched.writes.length > 0) await watchTimes(run, place, watched, before);
      },
      review.fenceToken,
    );
    return describeChanges(run, place, plan.changes);
  },
);

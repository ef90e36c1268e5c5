import { type Run, runbook } from '../../kit';
import {
  greedyRole,
  limitText,
  wholePercent,
  relieved,
  snapshotText,
  utilisationOf,
  type Look,
} from './limits';
import { draftOf, planRelief } from './plan';
import { lookAt, relieve } from './relief';
import type { relieveConnectionPoolCard } from './card';
import { type Place, targetOf } from '../../../contract/place';

/** Gives a database connections again: ends who sits on them, makes room in the pool, restarts as the last resort. */
export const relieveConnectionPool = runbook<typeof relieveConnectionPoolCard>(
  'relieveConnectionPool',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let look = await diagnose(run, place);
    await run.step('Ask for slow queries', (act) => act.readApplication({ ...place, what: 'slowQueries' }), {
      describe: ({ detail, body }) => (body === null ? detail : JSON.stringify(body).slice(0, 300)),
    });
    const before = utilisationOf(look);
    run.fact('utilisationBeforePercent', Math.round(before * 100));
    let relief = planRelief(look);
    let stale = false;
    await run.gate(async () => {
      if (stale) look = await diagnose(run, place);
      stale = true;
      relief = planRelief(look);
      return draftOf(place, look, relief);
    });
    const after = await run.exclusively(
      targetOf(place),
      (fence) => relieve(run, place, relief, fence),
      look.connections.fenceToken,
    );
    await proposeLimit(run, place, look);
    return `the connections of ${targetOf(place)} are relieved: ${wholePercent(before)} in use before, ${wholePercent(after)} now`;
  },
);

/** As it was when they were short: afterwards the role may have few, and take them all again. */
async function proposeLimit(run: Run, place: Place, look: Look): Promise<void> {
  const greedy = greedyRole(look);
  if (greedy !== undefined)
    await run.announce(`${targetOf(place)} is relieved, and can be short again: ${limitText(greedy)}`);
}

/** Ends the run where nothing is over a limit. */
async function diagnose(run: Run, place: Place): Promise<Look> {
  const look = await run.step('Look at the connections', (act) => lookAt(act, place), {
    kind: 'quick',
    describe: (found) => relieved(found).detail,
  });
  run.note('Snapshot of the sessions', snapshotText(look));
  const greedy = greedyRole(look);
  if (greedy !== undefined) run.note('A role without a limit', limitText(greedy));
  const { ok, detail } = relieved(look);
  return ok ? run.nothingToDo(detail) : look;
}

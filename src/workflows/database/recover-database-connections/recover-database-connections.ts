import { targetOf, type Place } from '../../../contract/place';
import { duration, type Run, runbook } from '../../kit';
import { uncheckedOf } from '../checks';
import { bringBack, reviewPool } from './application';
import type { recoverDatabaseConnectionsCard } from './card';
import { restartOf } from './plan';
import { approved, remedy, type Recovery } from './remedies';
import { causeText, isWell, look, situationText, type Situation } from './situation';

/** One cause may hide another; more than these are no single fault. */
const MAX_ROUNDS = 8;

/** Finds out what keeps everybody from the database, mends it or has it mended, and brings the application back. */
export const recoverDatabaseConnections = runbook<typeof recoverDatabaseConnectionsCard>(
  'recoverDatabaseConnections',
  async ({ service, environment, startedBy, alert }, run) => {
    const startedAt = Date.now();
    const place = { service, environment };
    const first = await look(run, place, 'Connect to the database');
    if (isWell(first)) return run.nothingToDo(situationText(first));
    const cause = causeOf(first);
    run.fact('cause', cause);
    const can = await run.look('What may be done about it', (act) => act.readRemedies(place));
    const unchecked = await uncheckedOf(run, place);
    const one: Recovery = {
      run,
      place,
      startedBy,
      alert,
      restart: restartOf(can, first),
      unchecked,
      tried: new Map(),
      approved: false,
    };
    const done = await untilItAnswers(one, first);
    const pool = await reviewPool(run, place);
    const brought = await bringBack(one);
    const remedies = [...done, ...(brought === undefined ? [] : [brought])];
    return conclude(run, place, { cause, evidence: situationText(first), remedies, pool, startedAt });
  },
);

function causeOf({ findings: [first], failing }: Situation): string {
  if (first !== undefined) return `${first.whose}: ${causeText(first.cause)}`;
  return `the database answers, and the application does not serve (${failing.map(({ name }) => name).join(', ')})`;
}

/** Returns what was done. */
async function untilItAnswers(one: Recovery, first: Situation): Promise<string[]> {
  const { run, place } = one;
  const done: string[] = [];
  let now = first;
  // Nothing is wrong with the database: only the restart is to be approved.
  if (now.findings.length === 0) now = await approved(one, now);
  for (let round = 0; now.findings.length > 0; round += 1) {
    if (round === MAX_ROUNDS)
      return run.needsHuman(`one cause after the other keeps everybody out, the last: ${situationText(now)}`);
    const said = await remedy(one, now);
    if (said !== undefined && !done.includes(said)) done.push(said);
    now = await look(run, place, 'Connect again');
  }
  return done;
}

interface Ended {
  cause: string;
  evidence: string;
  remedies: string[];
  pool: string | undefined;
  startedAt: number;
}

/** What a post-mortem needs. */
async function conclude(
  run: Run,
  place: Place,
  { cause, evidence, remedies, pool, startedAt }: Ended,
): Promise<string> {
  const took = Date.now() - startedAt;
  const mended = remedies.length === 0 ? 'it came back by itself' : remedies.join(', ');
  const review = pool === undefined ? '' : ` ${pool}.`;
  run.fact('remedy', mended);
  run.fact('resolvedAfterSeconds', Math.round(took / 1_000));
  run.note(
    'Post-mortem draft',
    `Cause: ${cause}. Evidence: ${evidence}. Remedy: ${mended}, after ${duration(took)}. Open: why it came to that, and what prevents the next time.${review}`,
  );
  await run.announce(
    `${place.service}: the database of ${targetOf(place)} can be worked with again (${cause}; ${mended}).${review}`,
  );
  return `the database of ${targetOf(place)} answers and its application serves: ${mended}`;
}

import { targetOf } from '../../../contract/place';
import { duration, runbook } from '../../kit';
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
      done: [],
      rounds: 0,
      approved: false,
    };
    let pool: string | undefined;
    for (let away: Situation | undefined = first; away !== undefined;) {
      await untilItAnswers(one, away);
      pool = await reviewPool(run, place);
      away = await bringBack(one, first);
    }
    return conclude(one, { cause, evidence: situationText(first), pool, startedAt });
  },
);

function causeOf({ findings: [first], failing }: Situation): string {
  if (first !== undefined) return `${first.whose}: ${causeText(first.cause)}`;
  return `the database answers, and the application does not serve (${failing.map(({ name }) => name).join(', ')})`;
}

async function untilItAnswers(one: Recovery, found: Situation): Promise<void> {
  const { run, place, done } = one;
  let now = found;
  // Nothing is wrong with the database: only the restart is to be approved.
  if (now.findings.length === 0) now = await approved(one, now);
  for (; now.findings.length > 0; one.rounds += 1) {
    if (one.rounds === MAX_ROUNDS)
      return run.needsHuman(`one cause after the other keeps everybody out, the last: ${situationText(now)}`);
    const said = await remedy(one, now);
    if (said !== undefined && !done.includes(said)) done.push(said);
    now = await look(run, place, 'Connect again');
  }
}

interface Ended {
  cause: string;
  evidence: string;
  pool: string | undefined;
  startedAt: number;
}

/** What a post-mortem needs. */
async function conclude(
  { run, place, done }: Recovery,
  { cause, evidence, pool, startedAt }: Ended,
): Promise<string> {
  const took = Date.now() - startedAt;
  const mended = done.length === 0 ? 'it came back by itself' : done.join(', ');
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

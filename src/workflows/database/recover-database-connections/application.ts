import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { PoolFacts } from '../../../activities/application/facts';
import type { ConnectionLimitOf } from '../../../activities/postgres/connections/try-connection';
import { targetOf, type Check, type Place } from '../../../contract/place';
import type { Run } from '../../kit';
import { applicationIn, overCheck, verifyServing } from '../../application/serving';
import { restart } from '../../application/trial';
import { allHold, verifySmoke } from '../checks';
import { approved, type Recovery } from './remedies';
import { causeText, look, situationNow, type Situation } from './situation';

// Pools connect anew by themselves; what does not within that time will not.
const PATIENCE_MS = 20_000;
const LOOK_EVERY_MS = 2_000;

/**
 * Sees to it that the application works with the database again, which answers by now. Returns what keeps it away again, or
 * undefined.
 */
export async function bringBack(one: Recovery, first: Situation): Promise<Situation | undefined> {
  const { run, place, done } = one;
  // Where the database answered all the time the application has had its time.
  const wasAway = one.tried.size > 0 || first.findings.length > 0;
  if (await comesBack(run, place, wasAway ? PATIENCE_MS : 0)) {
    await verified(run, place);
    return undefined;
  }
  if (!one.restart) {
    await run.task(
      `The database of ${targetOf(place)} answers, and its application does not come back. Restart it, and look at its log where that does not help. This run goes on by itself when it serves again.`,
      overCheck(place),
    );
    await verified(run, place);
    done.push('a person was asked to restart the application');
    return undefined;
  }
  // The plan of another runbook has no restart of this one in it.
  if (!one.approved) await approved(one, await look(run, place, 'What is left'));
  return run.exclusively(applicationIn(place), async (fence) => {
    const now = await look(run, place, 'Is a restart still needed?');
    // It would come back to the same, and nobody else has to wait for this lease meanwhile.
    if (now.findings.length > 0) return now;
    if (now.failing.length > 0) {
      await restart({ run, place }, fence);
      done.push('the application was restarted');
    }
    await verified(run, place);
    return undefined;
  });
}

async function comesBack(run: Run, place: Place, patienceMs: number): Promise<boolean> {
  const { ok } = await run.check('The application comes back by itself', async (act) => {
    const health = await untilHealthy(act, place, patienceMs);
    return health.length === 0
      ? { ok: true, detail: 'not known: no health check is configured' }
      : allHold(health);
  });
  return ok;
}

async function untilHealthy(act: Activities, place: Place, patienceMs: number): Promise<Check[]> {
  let health = await act.checkHealth(place);
  for (const deadline = Date.now() + patienceMs; health.some(({ ok }) => !ok) && Date.now() < deadline;) {
    await sleep(LOOK_EVERY_MS);
    health = await act.checkHealth(place);
  }
  return health;
}

async function verified(run: Run, place: Place): Promise<void> {
  await run.verify(
    `The database of ${targetOf(place)} answers`,
    (act) => situationNow(act, place),
    ({ findings: [away] }) =>
      away === undefined
        ? { ok: true, detail: 'it answers, and takes writes' }
        : { ok: false, detail: `${causeText(away.cause)} (${away.said})` },
  );
  await verifyServing(run, place);
  await verifySmoke(run, place);
}

/** A pool that may have more than it gets fails at its busiest, and not before. Returns what was found, if anything. */
export async function reviewPool(run: Run, place: Place): Promise<string | undefined> {
  const [pool, { diagnosis }] = await run.step(
    'Review the configuration of the pool',
    (act) => Promise.all([act.readPool(place), situationNow(act, place)]),
    { describe: ([{ detail }]) => detail },
  );
  const limits = diagnosis.application?.limits ?? diagnosis.runbooks.limits.filter(isForEverybody);
  const found = poolFinding(pool, limits);
  if (found !== undefined) run.note('Finding: the pool is too large', found, { failed: true });
  return found;
}

function isForEverybody({ name }: ConnectionLimitOf): boolean {
  return !name.startsWith('role ');
}

export function poolFinding(
  { max }: Pick<PoolFacts, 'max'>,
  limits: ConnectionLimitOf[],
): string | undefined {
  const tight = limits
    .filter(({ limit }) => max !== null && max > limit)
    .sort((a, b) => a.limit - b.limit)[0];
  if (tight === undefined) return undefined;
  return `the pool may have ${max} connections, and ${tight.name} admits ${tight.limit}: make the pool smaller, all instances together`;
}

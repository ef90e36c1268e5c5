import { patched, sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { Offender } from '../../../activities/postgres/connections/connection-facts';
import type { SessionsResult } from '../../../activities/postgres/connections/connection-activities';
import { countOf } from '../../../contract/text';
import type { Run, WayBack } from '../../kit';
import {
  isOnlyPoolExhausted,
  wholePercent,
  raisedPool,
  relieved,
  tightOf,
  utilisationOf,
  type Look,
} from './limits';
import type { Relief } from './plan';
import { settle } from './settle';
import type { Fence, Place } from '../../../contract/place';

const LOOK_EVERY_MS = 1_000;

export async function lookAt(act: Activities, place: Place): Promise<Look> {
  const [connections, pool] = await Promise.all([act.readConnections(place), act.readPool(place)]);
  return { connections, pool };
}

function lookAgain(act: Activities, place: Place, steady?: number): Promise<Look> {
  return settle(
    () => lookAt(act, place),
    () => sleep(LOOK_EVERY_MS),
    { steady, insists: patched('settles') },
  );
}

/**
 * The least harmful remedy first; each further one only while what came before was not enough. Returns the utilisation
 * afterwards. Fails, and so sets a raised pool back, when the symptom does not go away.
 */
export async function relieve(run: Run, place: Place, relief: Relief, fence: Fence): Promise<number> {
  const { idle, queries, pool, restart } = relief;
  const isEnough = (title: string) =>
    run.step(title, (act) => lookAgain(act, place), { describe: (look) => relieved(look).detail });
  if (idle.length > 0) await endIdle(run, place, idle, fence);
  let look = await isEnough(idle.length > 0 ? 'Is that enough?' : 'Is it short for more than a moment?');
  if (queries.length > 0 && tightOf(look).length > 0) {
    await stopQueries(run, place, queries, fence, look.connections.settings.graceSeconds);
    look = await isEnough('Is it enough without the long queries?');
  }
  if (pool !== undefined && isOnlyPoolExhausted(look)) {
    const to = Math.min(pool.to, raisedPool(look));
    if (to > pool.from) await raisePool(run, place, { from: pool.from, to }, fence);
    else run.note('The pool is not raised', 'the server has no room for more connections');
    look = await isEnough('Is it enough with the larger pool?');
  }
  if (restart && tightOf(look).length > 0) await restartApplication(run, place, fence);
  return verify(run, place, look);
}

/** An ended session cannot be brought back, so there is no undo: that is why the lists are explicit. */
async function endIdle(run: Run, place: Place, sessions: Offender[], fence: Fence): Promise<void> {
  const { signalled } = await run.step(
    'End sessions that sit idle in a transaction',
    (act) => act.terminateSessions({ ...place, sessions: sessions.map(refOf), fence }),
    {
      kind: 'mutate',
      undo: { irreversible: 'sessions that sat idle in a transaction were ended', unless: reachedNone },
      describe: describeSignalled,
    },
  );
  run.fact('idleSessionsEnded', signalled.length);
}

/** First asked to stop; what still runs the same query after the time of grace is ended. */
async function stopQueries(
  run: Run,
  place: Place,
  queries: Offender[],
  fence: Fence,
  graceSeconds: number,
): Promise<void> {
  const sessions = queries.map(refOf);
  const cancelled = await run.step(
    'Cancel long queries',
    (act) => act.cancelSessions({ ...place, sessions, fence }),
    {
      kind: 'mutate',
      undo: { irreversible: 'long queries were cancelled', unless: reachedNone },
      describe: describeSignalled,
    },
  );
  run.fact('queriesCancelled', cancelled.signalled.length);
  await sleep(graceSeconds * 1_000);
  const ended = await run.step(
    'End sessions that did not stop',
    (act) => act.terminateSessions({ ...place, sessions, fence }),
    {
      kind: 'mutate',
      undo: { irreversible: 'sessions with long queries were ended', unless: reachedNone },
      describe: describeSignalled,
    },
  );
  run.fact('querySessionsEnded', ended.signalled.length);
}

async function raisePool(
  run: Run,
  place: Place,
  { from, to }: { from: number; to: number },
  fence: Fence,
): Promise<void> {
  const title = (poolMax: number) => `Set the pool to ${poolMax}`;
  const set = (poolMax: number, undo: WayBack): Promise<unknown> =>
    run.step(title(poolMax), (act) => act.setPoolMax({ ...place, poolMax, fence }), {
      kind: 'mutate',
      undo,
      describe: ({ detail }) => detail,
    });
  await set(to, {
    title: `Set the pool back to ${from}`,
    back: () => set(from, { takesBack: title(to) }),
  });
  run.fact('poolMax', to);
}

/** The application comes back as it was, but what was under way in it is lost. */
async function restartApplication(run: Run, place: Place, fence: Fence): Promise<void> {
  await run.step('Restart the application', (act) => act.restartApplication({ ...place, fence }), {
    kind: 'mutate',
    undo: { irreversible: 'the application was restarted', unless: ({ ran }) => !ran },
    describe: ({ detail }) => detail,
  });
}

async function verify(run: Run, place: Place, { connections }: Look): Promise<number> {
  const below = `Connections are below ${wholePercent(connections.settings.maxUtilisation)}`;
  const after = await run.verify(below, (act) => lookAgain(act, place), relieved);
  run.fact('utilisationAfterPercent', Math.round(utilisationOf(after) * 100));
  await run.soak(`${below} and stay there`, async (act) => relieved(await lookAgain(act, place, 1)), {
    forMs: run.policy.soakMs,
    everyMs: run.policy.soakEveryMs,
  });
  return utilisationOf(after);
}

/** What the target needs to recognise a session again. */
function refOf({ pid, backendStart, since }: Offender) {
  return { pid, backendStart, since };
}

/** An earlier attempt may have reached some and never come to say so. */
function reachedNone({ signalled, earlierAttempts }: SessionsResult): boolean | 'unknown' {
  if (signalled.length > 0) return false;
  return earlierAttempts ? 'unknown' : true;
}

function describeSignalled({ asked, signalled, staying }: SessionsResult): string {
  const gone = asked - signalled.length;
  const parts = [countOf(signalled.length, 'session')];
  if (gone > 0) parts.push(`${gone} had gone or moved on by then`);
  if (staying.length > 0) parts.push(`still there: pid ${staying.join(', ')}`);
  return parts.join('; ');
}

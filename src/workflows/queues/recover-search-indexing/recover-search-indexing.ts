import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { SearchStatus } from '../../../activities/queues/search';
import { targetOf, type Fence, type Place } from '../../../contract/place';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, runbook, verificationFailed, type Run } from '../../kit';
import { depthText, queuesIn, seenOf } from '../findings';
import { orLost } from '../lost';
import { pauseQueues, resumeOwn } from '../pausing';
import { remainsText, retryFailed, runKey } from '../retry-failed';
import type { recoverSearchIndexingCard } from './card';
import {
  hasFailing,
  indexingOf,
  isWell,
  lagHolds,
  planFor,
  refusesNoMore,
  stateOf,
  tasksFail,
  tasksText,
  unseenOf,
  type Indexing,
} from './plan';

/** Keeps the indexing queue from wearing itself out while Meilisearch is down, and brings the index up to date. */
export const recoverSearchIndexing = runbook<typeof recoverSearchIndexingCard>(
  'recoverSearchIndexing',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let found = await diagnose(run, place);
    const unchecked = await uncheckedOf(run, place);
    let stale = false;
    return orLost(run, service, async () => {
      await run.gate(async () => {
        if (stale) {
          const now = await diagnose(run, place, found);
          if (stateOf(now) !== stateOf(found)) found = now;
        }
        stale = true;
        return planFor(place, found, unchecked);
      });
      return act(run, place, found);
    });
  },
);

async function read(act: Activities, place: Place, before?: Indexing): Promise<Indexing> {
  const search = await act.readSearch(place);
  const seen = before === undefined ? [] : seenOf([before.queue]);
  return indexingOf(search, await act.readQueues({ ...place, only: [search.queue], seen }));
}

/** Ends the run where the index is up to date. */
async function diagnose(run: Run, place: Place, before?: Indexing): Promise<Indexing> {
  const found = await run.step('Look at Meilisearch and its queue', (act) => read(act, place, before), {
    describe: textOf,
  });
  if (isWell(found))
    return run.nothingToDo(
      `the search index of ${targetOf(place)} is up to date: ${[textOf(found), ...unseenOf(found)].join('; ')}`,
    );
  if (!found.search.available)
    run.note('Finding: Meilisearch is down', found.search.detail, { failed: true });
  if (tasksFail(found)) run.note('Finding: tasks fail', tasksText(found.search.tasks!), { failed: true });
  for (const { cause, detail } of found.findings) run.note(`Finding: ${cause}`, detail, { failed: true });
  return found;
}

function textOf({ search, queue }: Indexing): string {
  const tasks = search.tasks === null ? '' : `; ${tasksText(search.tasks)}`;
  return `${search.detail}${tasks}; ${queue.name}: ${depthText(queue)}`;
}

async function act(run: Run, place: Place, found: Indexing): Promise<string> {
  const { queue, search } = found;
  if (!search.available)
    await run.exclusively(queuesIn(place), (fence) => untilBack(run, place, fence, found));
  if (queue.paused) await resumeMistake(run, place, found);
  // While it was down, nobody could tell what had become of its tasks.
  const { search: here } = search.available ? found : await lookAgain(run, place, found);
  const known = await refusedTasks(run, place, found, here);
  await upToDate(run, place, found);
  const now = await lookAgain(run, place, found);
  const retried = hasFailing(now) ? await retryFailed(run, place, now.queue, now.status) : undefined;
  const { windowMs, patienceMs } = found.status;
  await run.soak('The index stays up to date', async (act) => lagHolds(await read(act, place, found)), {
    forMs: windowMs,
    everyMs: Math.max(1_000, windowMs / MAX_LOOKS),
  });
  await run.verify(
    'Meilisearch has refused nothing more',
    (act) => act.readSearch(place),
    (now) => refusesNoMore(known, now),
  );
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  run.fact('jobsRetried', retried?.retried ?? 0);
  const remains = retried === undefined ? undefined : remainsText(retried, patienceMs);
  if (remains !== undefined) throw verificationFailed(remains);
  return `the search index of ${targetOf(place)} is up to date; ${countOf(retried?.retried ?? 0, 'failed job')} retried`;
}

function lookAgain(run: Run, place: Place, found: Indexing): Promise<Indexing> {
  return run.step('What has failed meanwhile', (act) => read(act, place, found), { describe: textOf });
}

const MAX_LOOKS = 60;
const TASK_EVERY_MS = 60_000;
const NONE_FAILED = -1;
/** How often people are told of what is refused before that is a failure. */
const MAX_ASKED = 3;

/** Jobs that nobody can do must not use up their attempts. */
async function untilBack(run: Run, place: Place, fence: Fence, { queue, search }: Indexing): Promise<void> {
  const paused = await pauseQueues(run, place, fence, queue.paused ? [] : [queue.name]);
  await run.page(
    `${place.service}: ${search.detail}. Bring it back; its queue ${queue.name} ${queue.paused ? 'was paused before, by others' : 'is paused until then'}.`,
  );
  const untilMs = Date.now() + search.waitMs;
  const { available } = await run.step(
    'Wait for Meilisearch',
    (act) => act.awaitSearch({ ...place, untilMs }),
    {
      kind: 'long',
      undo: 'read-only',
      describe: ({ detail }) => detail,
    },
  );
  if (!available)
    await run.task(`Meilisearch of ${targetOf(place)} is still down (${search.detail}). Bring it back.`, {
      title: 'Is Meilisearch available?',
      everyMs: TASK_EVERY_MS,
      call: async (act) => {
        const now = await act.readSearch(place);
        return { ok: now.available, detail: now.detail };
      },
    });
  await resumeOwn(run, place, fence, paused);
}

async function resumeMistake(run: Run, place: Place, { queue }: Indexing): Promise<void> {
  const answer = await run.ask(
    `The queue ${queue.name} is paused, and Meilisearch is up. Was it paused by mistake?`,
    ['resume it', { harmless: 'leave it paused' }],
  );
  if (answer !== 'resume it')
    return run.reject(`${queue.name} stays paused, as decided: ${depthText(queue)}`);
  await run.exclusively(queuesIn(place), (fence) =>
    run.step(
      `Resume ${queue.name}`,
      (act) => act.resumeQueue({ ...place, queue: queue.name, run: runKey(), onlyOwn: false, fence }),
      {
        kind: 'mutate',
        undo: { irreversible: `${queue.name} was resumed`, unless: ({ changed }) => !changed },
        describe: ({ detail }) => detail,
      },
    ),
  );
}

/** Asks people, again where more was refused until they said that it is done. Returns the number of the newest they know of. */
async function refusedTasks(
  run: Run,
  place: Place,
  found: Indexing,
  { tasks }: SearchStatus,
): Promise<number> {
  let [now, known] = [tasks, NONE_FAILED];
  for (let asked = 0; now !== null && now.newestFailed > known && asked < MAX_ASKED; asked += 1) {
    await run.task(
      `Meilisearch of ${targetOf(place)} has refused ${countOf(now.failed, 'task')} within the last hour: ${now.reasons.join('; ')}. Correct what is sent, or the settings of the index, and send those documents again.`,
    );
    known = now.newestFailed;
    now = (await lookAgain(run, place, found)).search.tasks;
  }
  return known;
}

async function upToDate(run: Run, place: Place, found: Indexing): Promise<void> {
  const title = 'The index catches up';
  const now = await run.step(title, (act) => untilCaughtUp(act, place, found), {
    describe: (one) => lagHolds(one).detail,
  });
  const { ok, detail } = lagHolds(now);
  if (ok) return;
  await run.page(`${place.service}: the search index does not catch up (${detail}). Look at its workers.`);
  throw verificationFailed(`${title}: ${detail}`);
}

async function untilCaughtUp(act: Activities, place: Place, found: Indexing): Promise<Indexing> {
  const { patienceMs } = found.status;
  const everyMs = Math.max(1_000, patienceMs / MAX_LOOKS);
  for (const deadline = Date.now() + patienceMs; ;) {
    const now = await read(act, place, found);
    if (lagHolds(now).ok || Date.now() >= deadline) return now;
    await sleep(everyMs);
  }
}

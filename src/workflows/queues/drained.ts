import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { QueuesStatus, QueueStatus } from '../../activities/queues/look';
import type { Place } from '../../contract/place';
import { verificationFailed, type Run } from '../kit';
import { delaysHold, queuesText, seenOf } from './findings';

const MAX_LOOKS = 60;
const LOOK_EVERY_MS = 1_000;

/** Which queues are looked at, and what they were at first: less than that is a loss. */
export interface Watched {
  status: QueuesStatus;
  names: string[];
}

/** Waits until no job of these waits for too long. What does not drain in time fails the run, and people are called. */
export async function untilDrained(run: Run, place: Place, watched: Watched): Promise<QueueStatus[]> {
  const title = 'No job waits for too long';
  const now = await run.step(title, (act) => waitFor(act, place, watched), { describe: queuesText });
  const { ok, detail } = delaysHold(now);
  if (ok) return now;
  await run.page(
    `${place.service}: queues do not drain (${detail}). More workers are needed, or less that comes in.`,
  );
  throw verificationFailed(`${title}: ${detail}`);
}

async function waitFor(act: Activities, place: Place, watched: Watched): Promise<QueueStatus[]> {
  const { patienceMs } = watched.status;
  const everyMs = Math.max(LOOK_EVERY_MS, patienceMs / MAX_LOOKS);
  for (const deadline = Date.now() + patienceMs; ;) {
    const now = await lookAgain(act, place, watched);
    if (delaysHold(now).ok || Date.now() >= deadline) return now;
    await sleep(everyMs);
  }
}

export async function lookAgain(
  act: Activities,
  place: Place,
  { status, names }: Watched,
): Promise<QueueStatus[]> {
  if (names.length === 0) return [];
  const { queues } = await act.readQueues({ ...place, only: names, seen: seenOf(status.queues) });
  return queues;
}

/** Watches them for as long as rates are looked back at. */
export async function staysDrained(run: Run, place: Place, watched: Watched): Promise<void> {
  const { windowMs } = watched.status;
  await run.soak(
    'Delays stay within their objectives',
    async (act) => delaysHold(await lookAgain(act, place, watched)),
    {
      forMs: windowMs,
      everyMs: Math.max(LOOK_EVERY_MS, windowMs / MAX_LOOKS),
    },
  );
}

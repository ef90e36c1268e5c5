import {
  condition,
  isCancellation,
  proxyLocalActivities,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Activities } from '../../activities';
import { searchAttributes } from '../../contract/search-attributes';
import { causeOf } from './failure';
import { addNote, publish, type RunState } from './state';

const FIRST_LOOK_MS = 1_000;
/** Told that somebody resumed, it looks at once; this is for those that nobody could tell. */
const MAX_LOOK_MS = 5 * 60_000;
/** Nobody resumes what only cannot be read. */
const MAX_UNREAD_MS = 15_000;
/** From then on others may have its place. */
const REST_AFTER_MS = 4_000;

// Part of the same turn: it is read before everything that changes something.
const { readSwitch } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '5 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 3 },
});

/**
 * Passes the kill switch: goes on when nobody has paused what this run acts on. It is read each time, from the store, and what
 * cannot be read counts as paused. `before` is what waits.
 */
export async function passKillSwitch(state: RunState, before: string): Promise<void> {
  let obstacle = await obstacleOf(state);
  if (obstacle === undefined) return;
  const { summary } = state.report;
  addNote(state, `Paused before: ${before}`, obstacle.text);
  upsertSearchAttributes([{ key: searchAttributes.waiting, value: 'paused' }]);
  try {
    let [rests, pause] = [false, FIRST_LOOK_MS / 2];
    while (obstacle !== undefined) {
      pause = Math.min(obstacle.lookMs, pause * 2);
      state.report.summary = obstacle.text;
      publish(state);
      if (!rests && pause >= REST_AFTER_MS) {
        await state.place.give();
        rests = true;
      }
      const { woken } = state;
      await condition(() => state.woken !== woken, pause);
      obstacle = await obstacleOf(state);
      if (obstacle !== undefined || !rests) continue;
      await state.place.take(false);
      rests = false;
      // It may have waited for that, and somebody may have paused it again meanwhile.
      pause = FIRST_LOOK_MS / 2;
      obstacle = await obstacleOf(state);
    }
  } finally {
    state.report.summary = summary;
    upsertSearchAttributes([{ key: searchAttributes.waiting, value: null }]);
    publish(state);
  }
}

/** For what changes nothing: it goes on, and says that everything else does not. */
export async function noteKillSwitch(state: RunState): Promise<void> {
  const obstacle = await obstacleOf(state);
  if (obstacle !== undefined) addNote(state, 'This goes on: it changes nothing', obstacle.why);
}

interface Obstacle {
  why: string;
  text: string;
  /** How long to wait for the next look, at the most. */
  lookMs: number;
}

async function obstacleOf(state: RunState): Promise<Obstacle | undefined> {
  try {
    const [pause] = await readSwitch({ targets: targetsOf(state) });
    if (pause === undefined) return undefined;
    const { target, by, at, reason } = pause;
    const what = target === 'all' ? '' : ` --target ${target}`;
    const why = `paused by ${by} at ${at}${what === '' ? '' : `, all of ${target}`}: ${reason}`;
    const text = `${why}. \`runbooks resume${what} --reason "..."\` lets it go on`;
    return { why, text, lookMs: MAX_LOOK_MS };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const text = `paused: the kill switch cannot be read, which counts as paused: ${causeOf(error).message}`;
    return { why: text, text, lookMs: MAX_UNREAD_MS };
  }
}

/** A target, and no words about one. */
const TARGET = /^[a-z0-9-]+(\/[a-z0-9-]+)+$/;

/** A run whose input names no environment says in its plan on what it acts. */
function targetsOf({ report: { service, environment, plan }, leases }: RunState): string[] {
  const planned = (plan?.actions ?? [])
    .map(({ target }) => target)
    .filter((target) => TARGET.test(target) && target.startsWith(`${service}/`));
  return [environment === undefined ? service : `${service}/${environment}`, ...planned, ...leases.keys()];
}

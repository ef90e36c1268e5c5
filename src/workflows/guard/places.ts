import { continueAsNew, condition, defineQuery, setHandler, setWorkflowOptions } from '@temporalio/workflow';
import type { Release } from '../../contract/guard';
import {
  PLACES_TYPE,
  placesId,
  quotaOf,
  type PlaceOffer,
  type PlaceRequest,
  type PlacesState,
} from '../../contract/places';
import { versioned } from '../kit/versioning';
import { now } from './changes';
import { endedOf, isLong } from './lasting';
import { answersInTurn, deliver, say } from './letters';
import { areNumbers, isRelease, isSame, isWish } from './shape';
import { answerAtOnce, handleSignals } from './signals';
import { enqueue } from './waiting';

export const placesStateQuery = defineQuery<PlacesState>('state');

/** Another shard may have a place: while somebody waits, one after the other is asked, with pauses that grow. */
const ASK_OTHERS_MS = 1_000;
const MAX_ASK_OTHERS_MS = 8_000;
/** How often those who have a place are looked at while somebody waits for one. */
const LOOK_AT_TAKERS_MS = 5_000;

/**
 * One shard of the places of all services: how many runs that nobody started may work at once. Each service has its shard,
 * and the places are divided among the shards, so that no workflow hears from every run. A shard that has none
 * left asks the others for those who wait.
 */
export async function places(
  initial: Pick<PlacesState, 'shard' | 'limits'> & Partial<PlacesState>,
): Promise<void> {
  const state: PlacesState = { taken: [], queue: [], letters: [], ...initial };
  const inTurn = answersInTurn();
  let changed = true;
  let asked = 0;
  const free = (who: Release) => {
    state.taken = state.taken.filter((one) => !isSame(one, who));
    state.queue = state.queue.filter((one) => !isSame(one, who));
    changed = true;
  };

  setHandler(placesStateQuery, () => state);
  const handlers = {
    free: (who: Release) => {
      if (isRelease(who)) free(who);
    },
    want: (request: PlaceRequest) => {
      if (!isRelease(request) || !isWish(request) || !areNumbers(request.rank)) return;
      // What the newest run knows of the configuration.
      state.limits = request.limits;
      want(state, request);
      changed = true;
    },
    offer: (offer: PlaceOffer) => {
      if (!isRelease(offer) || !areNumbers(offer.shard)) return;
      accept(state, offer);
      changed = true;
    },
  };
  const heard = new Set<string>();
  handleSignals(handlers, heard);
  answerAtOnce(state, handlers, ['verdict'], () => grant(state), heard);

  // By the clock: at a shard that many ask there is no quiet moment for it, and it is the one that needs the others.
  for (let [lookAt, askAt] = [Date.now() + LOOK_AT_TAKERS_MS, Date.now() + ASK_OTHERS_MS]; ;) {
    changed = false;
    heard.clear();
    grant(state);
    await deliver(state.letters, free, inTurn);
    if (isLong()) await continueAsNew<typeof places>(state);
    if (state.queue.length === 0) {
      asked = 0;
      if (state.letters.length > 0) continue;
      await condition(() => changed);
      lookAt = Date.now() + LOOK_AT_TAKERS_MS;
      askAt = Date.now() + ASK_OTHERS_MS;
      continue;
    }
    // The only shard has nobody to ask.
    const asks = !inTurn || state.limits.shards > 1;
    if (asks && Date.now() >= askAt) {
      askOther(state, (asked += 1));
      const rounds = Math.floor(asked / state.limits.shards);
      askAt = Date.now() + Math.min(MAX_ASK_OTHERS_MS, ASK_OTHERS_MS * 2 ** rounds);
    }
    if (Date.now() >= lookAt) {
      for (const one of await endedOf(state.taken)) free(one);
      lookAt = Date.now() + LOOK_AT_TAKERS_MS;
    }
    if (changed || state.letters.length > 0) continue;
    await condition(() => changed, Math.max(1, Math.min(asks ? askAt : Infinity, lookAt) - Date.now()));
  }
}

Object.defineProperty(places, 'name', { value: PLACES_TYPE });
setWorkflowOptions({ failureExceptionTypes: [Error], ...versioned('AUTO_UPGRADE') }, places);

const hasRoom = ({ shard, limits, taken }: PlacesState, { pool }: PlaceRequest) =>
  taken.filter((one) => one.pool === pool).length < quotaOf(pool, shard, limits);

function want(state: PlacesState, request: PlaceRequest): void {
  const had = state.taken.some((one) => isSame(one, request));
  const waits = state.queue.some((one) => isSame(one, request));
  if (had) return giveTo(state, request);
  const guest = request.glance === true || request.passedBy !== undefined;
  const behind = state.queue.some(({ pool, rank }) => pool === request.pool && rank <= request.rank);
  // Those who wait here come first, whoever asks.
  if (guest && (behind || !hasRoom(state, request))) return;
  if (waits) return tellQueued(state, request);
  const queued = { ...request, since: now() };
  const shed = enqueue(state.queue, queued);
  if (shed !== undefined) tellQueued(state, shed);
  else if (!hasRoom(state, request)) tellQueued(state, request);
}

function grant(state: PlacesState): void {
  for (const request of [...state.queue]) {
    if (!hasRoom(state, request)) continue;
    state.queue = state.queue.filter((one) => one !== request);
    const { workflowId, runId, pool } = request;
    state.taken.push({ workflowId, runId, pool, since: now() });
    giveTo(state, request);
  }
}

/**
 * Whoever waits hears of a place from the shard where it waits, and of one only: a second word that comes while the run
 * ends would fail its turn, and it would stand behind every new run with the places in its hands.
 */
function giveTo(state: PlacesState, request: PlaceRequest): void {
  const { workflowId, runId, passedBy } = request;
  if (passedBy === undefined) return tellGranted(state, request);
  const argument: PlaceOffer = { workflowId, runId, shard: state.shard };
  say(state, { workflowId: placesId(passedBy), signal: 'offer', argument });
}

/** What nobody here waits for any longer goes back. */
function accept(state: PlacesState, { workflowId, runId, shard }: PlaceOffer): void {
  const run = { workflowId, runId };
  const request = state.queue.find((one) => isSame(one, run));
  state.queue = state.queue.filter((one) => one !== request);
  if (request !== undefined) tellGranted(state, request, shard);
  else say(state, { workflowId: placesId(shard), signal: 'free', argument: run });
}

/** For those who wait longest in each pool: the next of the other shards. */
function askOther(state: PlacesState, asked: number): void {
  const { shard, limits } = state;
  if (limits.shards < 2) return;
  const other = (shard + 1 + ((asked - 1) % (limits.shards - 1))) % limits.shards;
  const pools = new Set<string>();
  for (const { since: _, ...request } of state.queue) {
    if (pools.has(request.pool) || request.passedBy !== undefined) continue;
    pools.add(request.pool);
    say(state, {
      workflowId: placesId(other),
      signal: 'want',
      argument: { ...request, passedBy: shard },
    });
  }
}

function tellGranted(
  state: PlacesState,
  { workflowId, runId, notice }: PlaceRequest,
  shard = state.shard,
): void {
  say(state, { workflowId, runId, signal: 'verdict', argument: { ...notice, shard } });
}

function tellQueued(state: PlacesState, { workflowId, runId, pool, notice }: PlaceRequest): void {
  const reason = `no place for ${pool} is free yet: there are ${state.limits[pool]} over all services`;
  say(state, {
    workflowId,
    runId,
    signal: 'verdict',
    argument: { ...notice, state: 'queued', reason },
  });
}

import {
  condition,
  defineQuery,
  defineUpdate,
  getExternalWorkflowHandle,
  makeContinueAsNewFunc,
  patched,
  setCurrentDetails,
  setHandler,
  setWorkflowOptions,
  upsertMemo,
} from '@temporalio/workflow';
import { admissionSignals, admitNext, handleBreakerOrders } from './admissions';
import { end } from './breaker';
import { noteChange, now } from './changes';
import { describeGuard, obstacleOf } from './details';
import { GUARD_MEMO } from '../../contract/guard';
import type { Freeing, GuardMemory, GuardState, Keep, LeaseRequest, Release } from '../../contract/guard';
import { need, refused } from '../kit';
import { activitiesFor } from '../kit/presets';
import { versioned } from '../kit/versioning';
import { endedOf, isLong } from './lasting';
import { answersInTurn, deliver, say } from './letters';
import { followedBy, memoryOf } from './memory';
import { pauseSignals } from './pause';
import { remind, remindAt } from './reminder';
import { areNumbers, boundedText, isRelease, isSame } from './shape';
import { answerAtOnce, handleSignals } from './signals';
import { tellAtOnce, tellInstead, tellsAt } from './untold';
import { enqueue } from './waiting';

export const freeUpdate = defineUpdate<string, [Freeing]>('free');
export const guardStateQuery = defineQuery<GuardState>('state');

// It stands in its memo, which has a limit.
const MAX_REASON = 2_000;
// How often a holder is looked at while somebody waits for its lease.
const LOOK_AT_HOLDER_MS = 5_000;

/**
 * The guard of one target: grants its lease to one run at a time, with a fencing token that only grows, takes it back
 * from a holder that is no longer running, and grants nothing while paused. The guard of a service also holds its
 * breaker. Signals: Updates that wait hit the limit of those in flight under contention. Only what it can answer at once it
 * hears as an Update as well. What it must not lose is in its memo: runs read a pause there, and a guard that follows it goes
 * on from there.
 */
export async function guard(
  initial: Partial<GuardState> & { target: string; before?: GuardMemory },
): Promise<void> {
  const state = followedBy(initial);
  const inTurn = answersInTurn();
  const withRuns = patched('recurrences-in-memo');
  const insists = patched('tells-until-people-know');
  if (insists) state.untold ??= [];
  let [changed, remembered, resumed] = [true, '', false];
  const touched = () => {
    changed = true;
  };
  const remember = () => {
    const memory = memoryOf(state, withRuns);
    if (JSON.stringify(memory) === remembered) return;
    upsertMemo({ [GUARD_MEMO]: memory });
    remembered = JSON.stringify(memory);
  };
  const forget = (who: Release) => {
    state.waiting = state.waiting.filter((one) => !isSame(one, who));
    state.queue = state.queue.filter((one) => !isSame(one, who));
    if (state.holder !== null && state.holder.kept === undefined && isSame(state.holder, who))
      state.holder = null;
    end(state.breaker, { ...who, outcome: 'UNKNOWN' }, Date.now());
    tellAtOnce(state, who);
    touched();
  };

  setHandler(guardStateQuery, () => state);
  const admission = admissionSignals(state, touched);
  const heard = new Set<string>();
  const signals = {
    release: (who: Release) => {
      if (!isRelease(who)) return;
      // Its run says so: a person has released it there.
      if (state.holder !== null && isSame(state.holder, who)) state.holder = null;
      state.waiting = state.waiting.filter((one) => !isSame(one, who));
      touched();
    },
    keep: (keep: Keep) => {
      if (!isRelease(keep)) return;
      const { why, ...who } = keep;
      if (state.holder !== null && isSame(state.holder, who))
        state.holder = {
          ...state.holder,
          kept: boundedText(why, 'it did not say why', MAX_REASON),
          remindedAt: now(),
        };
      touched();
    },
    request: (request: LeaseRequest) => {
      if (!isRelease(request) || !areNumbers(request.atLeast, request.rank)) return;
      hearRequest(state, request);
      touched();
    },
    ...pauseSignals(state, touched, {
      // At once: it may be telling many others just now.
      paused: remember,
      resumed: () => {
        resumed = true;
      },
    }),
    ...admission,
  };
  handleSignals(signals, heard);
  const { admit, rest, ended } = admission;
  answerAtOnce(state, { admit, rest, ended }, ['verdict', 'want'], () => admitNext(state), heard);
  handleFreeing(state, touched);
  handleBreakerOrders(state, touched);

  // By the clock: while many ask, there is no quiet moment for it.
  for (let lookAt = Date.now() + LOOK_AT_HOLDER_MS; ;) {
    changed = false;
    heard.clear();
    const granted = grant(state);
    admitNext(state);
    setCurrentDetails(describeGuard(state));
    remember();
    if (granted !== undefined && !(await tellGranted(state, granted))) {
      forget(granted);
      // Whatever ended it may have ended others: one look finds them, where granting to each takes a turn of its own.
      for (const run of await endedOf(state.waiting)) forget(run);
    }
    await deliver(state.letters, forget, inTurn);
    if (resumed) {
      resumed = false;
      wake(state.target);
    }
    if (isLong()) await moveOn(state, withRuns);
    const awaited = awaitedOf(state);
    if (awaited.length === 0) lookAt = Date.now() + LOOK_AT_HOLDER_MS;
    else if (Date.now() >= lookAt) {
      for (const run of await endedOf(awaited)) forget(run);
      lookAt = Date.now() + LOOK_AT_HOLDER_MS;
    }
    const remindsAt = state.holder?.kept === undefined ? Infinity : remindAt(state.holder);
    if (state.holder !== null && Date.now() >= remindsAt) {
      await remind(state, insists);
      continue;
    }
    if (Date.now() >= tellsAt(state)) {
      await tellInstead(state);
      continue;
    }
    if (changed || state.letters.length > 0) continue;
    const until = Math.min(awaited.length === 0 ? Infinity : lookAt, remindsAt, tellsAt(state));
    if (until === Infinity) await condition(() => changed);
    else await condition(() => changed, Math.max(1, until - Date.now()));
  }
}

// It never ends, so it moves on to each new version, and every change of it needs `patched`.
setWorkflowOptions({ failureExceptionTypes: [Error], ...versioned('AUTO_UPGRADE') }, guard);

/** All that it knows goes along, what it has not said yet included: nobody who calls at this moment can keep it from that. */
function moveOn(state: GuardState, withRuns: boolean): Promise<never> {
  const memo = { [GUARD_MEMO]: memoryOf(state, withRuns) };
  return makeContinueAsNewFunc<typeof guard>({ memo })(state);
}

function hearRequest(state: GuardState, request: LeaseRequest): void {
  state.lastToken = Math.max(state.lastToken, request.atLeast);
  const { workflowId, runId } = request;
  const tell = (who: Release, text: string) =>
    say(state, {
      workflowId: who.workflowId,
      runId: who.runId,
      signal: 'lease',
      argument: { target: state.target, state: 'queued', token: 0, holder: text },
    });
  if (state.holder !== null && isSame(state.holder, request)) {
    const { token } = state.holder;
    const argument = { target: state.target, state: 'granted', token, holder: '' };
    say(state, { workflowId, runId, signal: 'lease', argument });
    return;
  }
  if (!state.waiting.some((one) => isSame(one, request))) {
    const shed = enqueue(state.waiting, { ...request, since: now() });
    if (shed !== undefined) tell(shed, 'too many wait for it');
  }
  const obstacle = obstacleOf(state);
  if (obstacle !== undefined) tell(request, obstacle);
}

function handleFreeing(state: GuardState, touched: () => void): void {
  setHandler(
    freeUpdate,
    async ({ by, reason }) => {
      const holder = state.holder!;
      const { workflowId } = holder;
      // While it runs its own question stands open, and that is for those whom its policy names.
      if (patched('free-asks-the-run') && (await endedOf([holder])).length === 0)
        throw refused(
          `${workflowId} still runs, or cannot be looked at: answer it there (\`runbooks done ${workflowId}\`), or end it first`,
        );
      if (state.holder?.runId !== holder.runId) throw refused('the lease was given back meanwhile');
      state.holder = null;
      noteChange(state, { by, what: `lease of ${workflowId} freed`, reason });
      touched();
      return `the lease of ${state.target} is free: ${workflowId} had kept it`;
    },
    {
      validator: (order) => {
        need(order, ['by', 'reason']);
        if (state.holder?.kept === undefined)
          throw refused(`no run that needs a person keeps the lease of ${state.target}`);
      },
      description: 'What a run left behind is repaired, its lease may go: {"by", "reason"}',
    },
  );
}

/** Decides who is next; the decision is recorded before anybody hears of it. */
function grant(state: GuardState): LeaseRequest | undefined {
  const next = state.waiting[0];
  if (state.paused !== null || state.holder !== null || next === undefined) return undefined;
  state.waiting.shift();
  // Time keeps tokens growing even when a terminated guard took the last one with it.
  state.lastToken = Math.max(state.lastToken + 1, Date.now());
  const { workflowId, runId } = next;
  state.holder = { workflowId, runId, token: state.lastToken, since: now() };
  return next;
}

/** False: it ended before it heard the answer. */
async function tellGranted(
  { target, lastToken: token }: GuardState,
  { workflowId, runId }: LeaseRequest,
): Promise<boolean> {
  try {
    const handle = getExternalWorkflowHandle(workflowId, runId);
    await handle.signal('lease', { target, state: 'granted', token, holder: '' });
    return true;
  } catch {
    return false;
  }
}

/** Runs that wait at the switch look again from time to time; told, they look at once. */
function wake(target: string): void {
  void activitiesFor('read', 'Wake the runs that were paused')
    .wakePaused({ target })
    .catch(() => undefined);
}

/** Those for whom somebody waits. */
function awaitedOf({ holder, waiting, queue, breaker }: GuardState): Release[] {
  return [
    ...(holder !== null && holder.kept === undefined && waiting.length > 0 ? [holder] : []),
    ...(queue.length > 0 ? breaker.running : []),
  ];
}

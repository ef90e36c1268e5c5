import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  setWorkflowOptions,
  workflowInfo,
} from '@temporalio/workflow';
import { closedBreaker, end } from './breaker';
import { admitNext, handleAdmissions, isWritten, noteChange, type Letter } from './admissions';
import { describeGuard, obstacleOf } from './details';
import type { GuardState, LeaseRequest, PauseOrder, Release } from '../../contract/guard';
import { activitiesFor } from '../kit/presets';
import { versioned } from '../kit/versioning';

export const requestSignal = defineSignal<[LeaseRequest]>('request');
export const releaseSignal = defineSignal<[Release]>('release');
export const pauseSignal = defineSignal<[PauseOrder?]>('pause');
export const resumeSignal = defineSignal<[PauseOrder?]>('resume');
export const guardStateQuery = defineQuery<GuardState>('state');

// How often a holder is looked at while somebody waits for its lease.
const LOOK_AT_HOLDER_MS = 5_000;

const isSame = (a: Release, b: Release) => a.workflowId === b.workflowId && a.runId === b.runId;

/**
 * The guard of one target: grants its lease to one run at a time, with a fencing token that only grows, takes it back
 * from a holder that is no longer running, and grants nothing while paused. The guard of a service also holds its
 * breaker. Signals, not Updates: those hit the limit of Updates in flight under contention.
 */
export async function guard(initial: Partial<GuardState> & { target: string }): Promise<void> {
  const state: GuardState = { ...freshState(initial.target), ...initial };
  const outbox: Letter[] = [];
  let changed = true;
  const touched = () => {
    changed = true;
  };

  const tell = (to: Release, answer: 'queued' | 'granted', token: number, holder: string) =>
    outbox.push({
      to: to.runId,
      send: async () => {
        try {
          await getExternalWorkflowHandle(to.workflowId, to.runId).signal('lease', {
            target: state.target,
            state: answer,
            token,
            holder,
          });
        } catch {
          // It ended before it heard the answer.
          forget(to);
        }
      },
    });

  const forget = (who: Release) => {
    state.waiting = state.waiting.filter((one) => !isSame(one, who));
    state.queue = state.queue.filter((one) => !isSame(one, who));
    if (state.holder !== null && isSame(state.holder, who)) state.holder = null;
    changed = true;
  };

  setHandler(guardStateQuery, () => state);
  setHandler(releaseSignal, forget);
  setHandler(requestSignal, (request) => {
    state.lastToken = Math.max(state.lastToken, request.atLeast);
    if (state.holder !== null && isSame(state.holder, request)) {
      tell(request, 'granted', state.holder.token, '');
    } else if (!state.waiting.some((one) => isSame(one, request) && one.kind === request.kind)) {
      state.waiting.push({ ...request, since: new Date(Date.now()).toISOString() });
      const obstacle = obstacleOf(state);
      if (obstacle !== undefined && (request.kind === 'lease' || state.paused !== null))
        tell(request, 'queued', 0, obstacle);
    }
    changed = true;
  });
  // Sent by hand from the UI, so nothing about its shape is certain. To stop must always work; to go on needs a name.
  setHandler(pauseSignal, (order?: Partial<PauseOrder>) => {
    const { by = 'unknown', reason = 'no reason given' } = order ?? {};
    state.paused = { by: String(by), reason: String(reason), at: new Date(Date.now()).toISOString() };
    noteChange(state, { by: String(by), what: 'paused', reason: String(reason) });
    touched();
  });
  setHandler(resumeSignal, (order?: Partial<PauseOrder>) => {
    const { by, reason } = order ?? {};
    if (!isWritten(by) || !isWritten(reason)) {
      noteChange(state, {
        by: String(by ?? 'unknown'),
        what: 'not resumed',
        reason: 'name or reason missing',
      });
    } else if (state.paused !== null) {
      state.paused = null;
      // What stopped everything is looked at; the count begins anew.
      state.sick = {};
      noteChange(state, { by, what: 'resumed', reason });
    }
    touched();
  });
  handleAdmissions(state, touched);

  for (;;) {
    changed = false;
    grant(state, tell);
    admitNext(state, outbox);
    setCurrentDetails(describeGuard(state));
    await deliver(outbox.splice(0));
    if (workflowInfo().continueAsNewSuggested && !changed) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof guard>(state);
    }
    if (changed || outbox.length > 0) continue;
    const forLease = state.holder !== null && state.waiting.some(({ kind }) => kind === 'lease');
    if (!forLease && state.queue.length === 0) await condition(() => changed || outbox.length > 0);
    else if (!(await condition(() => changed || outbox.length > 0, LOOK_AT_HOLDER_MS)))
      await reclaim(state, forget, touched);
  }
}

// It never ends, so it moves on to each new version, and every change of it needs `patched`.
setWorkflowOptions({ failureExceptionTypes: [Error], ...versioned('AUTO_UPGRADE') }, guard);

/** To each run in the order in which it was decided; different runs do not wait for each other. */
async function deliver(letters: Letter[]): Promise<void> {
  const runs = new Set(letters.map(({ to }) => to));
  await Promise.all(
    [...runs].map(async (run) => {
      for (const { to, send } of letters) if (to === run) await send();
    }),
  );
}

type TellRun = (to: Release, answer: 'queued' | 'granted', token: number, holder: string) => void;

function grant(state: GuardState, tell: TellRun): void {
  if (state.paused !== null) return;
  for (const request of state.waiting.filter(({ kind }) => kind === 'pass')) tell(request, 'granted', 0, '');
  state.waiting = state.waiting.filter(({ kind }) => kind === 'lease');
  const next = state.waiting[0];
  if (state.holder !== null || next === undefined) return;
  state.waiting.shift();
  // Time keeps tokens growing even when a terminated guard took the last one with it.
  state.lastToken = Math.max(state.lastToken + 1, Date.now());
  const { workflowId, runId } = next;
  state.holder = { workflowId, runId, token: state.lastToken, since: new Date(Date.now()).toISOString() };
  tell(next, 'granted', state.lastToken, '');
}

/** Looks whether those whom somebody waits for are still there. */
async function reclaim(
  state: GuardState,
  forget: (who: Release) => void,
  touched: () => void,
): Promise<void> {
  if (state.holder !== null && !(await stillRuns(state.holder))) forget(state.holder);
  if (state.queue.length === 0) return;
  for (const run of [...state.breaker.running]) {
    if (await stillRuns(run)) continue;
    end(state.breaker, { ...run, outcome: 'UNKNOWN' }, Date.now());
    touched();
  }
}

async function stillRuns({ workflowId, runId }: Release): Promise<boolean> {
  const { isRunning } = activitiesFor('read', `Is ${workflowId} still running?`);
  try {
    return await isRunning({ workflowId, runId });
  } catch {
    // Unknown: everything stays where it is, and the next look decides.
    return true;
  }
}

function freshState(target: string): GuardState {
  return {
    target,
    paused: null,
    holder: null,
    waiting: [],
    lastToken: 0,
    breaker: closedBreaker(),
    queue: [],
    sick: {},
    changes: [],
  };
}

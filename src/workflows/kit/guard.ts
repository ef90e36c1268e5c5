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
import { inline } from './details-text';
import type { GuardState, LeaseRequest, PauseOrder, Release } from './guard-protocol';
import { activitiesFor } from './presets';

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
 * from a holder that is no longer running, and grants nothing while paused. Signals, not Updates: those hit the limit
 * of Updates in flight under contention.
 */
export async function guard(initial: Partial<GuardState> & { target: string }): Promise<void> {
  const state: GuardState = { paused: null, holder: null, waiting: [], lastToken: 0, ...initial };
  const outbox: (() => Promise<void>)[] = [];
  let changed = true;

  const tell = (to: Release, answer: 'queued' | 'granted', token: number, holder: string) =>
    outbox.push(async () => {
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
    });

  const forget = (who: Release) => {
    state.waiting = state.waiting.filter((one) => !isSame(one, who));
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
  // Sent by hand from the UI, so nothing about its shape is certain.
  setHandler(pauseSignal, (order?: Partial<PauseOrder>) => {
    const { by = 'unknown', reason = 'no reason given' } = order ?? {};
    state.paused = { by: String(by), reason: String(reason), at: new Date(Date.now()).toISOString() };
    changed = true;
  });
  setHandler(resumeSignal, () => {
    state.paused = null;
    changed = true;
  });

  for (;;) {
    changed = false;
    grant(state, tell);
    setCurrentDetails(describeGuard(state));
    // One at a time: the order in which answers leave is the order in which they were decided.
    for (let send = outbox.shift(); send !== undefined; send = outbox.shift()) await send();
    if (workflowInfo().continueAsNewSuggested && !changed) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof guard>(state);
    }
    if (changed || outbox.length > 0) continue;
    const someoneWaits = state.holder !== null && state.waiting.some(({ kind }) => kind === 'lease');
    if (!someoneWaits) await condition(() => changed || outbox.length > 0);
    else if (!(await condition(() => changed || outbox.length > 0, LOOK_AT_HOLDER_MS)))
      await reclaim(state, forget);
  }
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, guard);

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

async function reclaim(state: GuardState, forget: (who: Release) => void): Promise<void> {
  const { holder } = state;
  if (holder === null) return;
  const { workflowId, runId } = holder;
  const { isRunning } = activitiesFor('read', `Is ${workflowId} still running?`);
  try {
    if (!(await isRunning({ workflowId, runId }))) forget(holder);
  } catch {
    // Unknown: the lease stays where it is, and the next look decides.
  }
}

function obstacleOf({ paused, holder }: GuardState): string | undefined {
  if (paused !== null) return `paused by ${paused.by} at ${paused.at} (${paused.reason})`;
  if (holder !== null) return `held by ${holder.workflowId} since ${holder.since}`;
  return undefined;
}

function describeGuard(state: GuardState): string {
  const { target, waiting, lastToken } = state;
  return [
    `# Guard of ${inline(target)}`,
    inline(obstacleOf(state) ?? 'free'),
    `Last fencing token ${lastToken}. Waiting: ${waiting.length === 0 ? 'nobody' : waiting.map((one) => inline(one.workflowId)).join(', ')}.`,
    'To pause, send the signal **pause** with:',
    '```json\n{"by":"<your name>","reason":"<why>"}\n```',
    'To go on, send **resume** with the same.',
  ].join('\n\n');
}

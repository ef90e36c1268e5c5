import { defineSignal, defineUpdate, getExternalWorkflowHandle, setHandler } from '@temporalio/workflow';
import { MODES, type Mode } from '../../contract/modes';
import { admit, end, raise, reset } from './breaker';
import type {
  Ending,
  GuardChange,
  GuardState,
  LadderOrder,
  SickReport,
  Admission,
  AdmissionAnswer,
} from '../../contract/guard';
import { need, refused } from '../kit';

export const admitSignal = defineSignal<[Admission]>('admit');
export const endedSignal = defineSignal<[Ending]>('ended');
export const sickSignal = defineSignal<[SickReport]>('sick');
// Updates: a person wants to hear at once that the change was refused, and why.
export const ladderUpdate = defineUpdate<string, [LadderOrder]>('ladder');
export const resetUpdate = defineUpdate<string, [LadderOrder]>('reset');

/** A signal that the guard is about to send. */
export interface Letter {
  /** Run ID. */
  to: string;
  send: () => Promise<void>;
}

const MAX_CHANGES = 50;
const SICK_FOR_MS = 3_600_000;

/** Registers what the guard of a service hears about runs that nobody started, and from people about its breaker. */
export function handleAdmissions(state: GuardState, touched: () => void): void {
  setHandler(admitSignal, (request) => {
    const queued = state.queue.find(({ runId }) => runId === request.runId);
    // Who asks again has not heard the answer.
    if (queued !== undefined) queued.told = false;
    else state.queue.push({ ...request, since: now(), told: false });
    touched();
  });
  setHandler(endedSignal, (ending) => {
    end(state.breaker, ending, Date.now());
    state.queue = state.queue.filter(({ runId }) => runId !== ending.runId);
    touched();
  });
  setHandler(sickSignal, (report) => {
    hearOfSickness(state, report);
    touched();
  });
  setHandler(
    ladderUpdate,
    ({ runbook, mode, by, reason }) => {
      raise(state.breaker, runbook, mode as Mode, by, reason, Date.now());
      noteChange(state, { by, what: `${runbook} may go up to ${mode}`, reason });
      touched();
      return `${runbook} may go up to ${mode}`;
    },
    {
      validator: (order: LadderOrder) => {
        need(order, ['runbook', 'mode', 'by', 'reason']);
        if (!MODES.includes(order.mode as Mode)) throw refused(`"mode" must be one of: ${MODES.join(', ')}`);
      },
      description: 'Set the highest mode of a runbook: {"runbook", "mode", "by", "reason"}',
    },
  );
  setHandler(
    resetUpdate,
    ({ runbook, by, reason }) => {
      reset(state.breaker, runbook);
      noteChange(state, { by, what: `breaker of ${runbook} closed`, reason });
      touched();
      return `the breaker of ${runbook} is closed`;
    },
    {
      validator: (order: LadderOrder) => need(order, ['runbook', 'by', 'reason']),
      description: 'Close what is open for a runbook: {"runbook", "by", "reason"}',
    },
  );
}

/** Answers runs in the order in which they asked; those for whom there is no place hear why, and wait. */
export function admitNext(state: GuardState, outbox: Letter[]): void {
  const waiting: GuardState['queue'] = [];
  for (const request of state.queue) {
    const verdict = admit(state.breaker, request, Date.now());
    if (verdict.tripped !== undefined)
      noteChange(state, { by: 'breaker', what: 'opened', reason: verdict.tripped });
    if (verdict.state === 'admitted' || !request.told)
      outbox.push({ to: request.runId, send: () => answer(state, request, verdict) });
    if (verdict.state === 'queued') waiting.push({ ...request, told: true });
  }
  state.queue = waiting;
}

async function answer(state: GuardState, request: Admission, verdict: AdmissionAnswer): Promise<void> {
  try {
    const handle = getExternalWorkflowHandle(request.workflowId, request.runId);
    await handle.signal('verdict', { target: state.target, ...verdict });
  } catch {
    // It ended before it heard the answer.
    end(state.breaker, { ...request, outcome: 'UNKNOWN' }, Date.now());
  }
}

/** Too many services in trouble at once have one cause that no runbook of a single service mends: stop everything. */
function hearOfSickness(state: GuardState, { service, reason, limit }: SickReport): void {
  const at = now();
  const recent = Object.entries(state.sick).filter(
    ([, one]) => Date.parse(one.at) > Date.now() - SICK_FOR_MS,
  );
  state.sick = { ...Object.fromEntries(recent), [service]: { at, reason } };
  const services = Object.keys(state.sick);
  if (services.length < limit || state.paused !== null) return;
  state.paused = {
    by: 'breaker',
    reason: `${services.length} services are in trouble within an hour: ${services.join(', ')}`,
    at,
  };
  noteChange(state, { by: 'breaker', what: 'paused', reason: state.paused.reason });
}

export function noteChange(state: GuardState, change: Omit<GuardChange, 'at'>): void {
  state.changes = [...state.changes, { at: now(), ...change }].slice(-MAX_CHANGES);
}

export function isWritten(word: unknown): word is string {
  return typeof word === 'string' && word.trim() !== '' && !/^<.*>$/.test(word);
}

function now(): string {
  return new Date(Date.now()).toISOString();
}

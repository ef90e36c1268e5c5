import { lower, type Mode } from '../../contract/modes';
import type {
  Admission,
  AdmissionAnswer,
  PastRun,
  OpenBreaker,
  BreakerState,
  Ending,
  Release,
  RunningRun,
} from '../../contract/guard';
import { isRunbook, isSame } from './shape';

const MAX_PAST = 500;
/** Of alerts that recur. The oldest close first. */
const MAX_OPEN = 200;
/** Far more than there are runbooks: anybody can name one. */
const MAX_CEILINGS = 200;

export function closedBreaker(): BreakerState {
  return { running: [], past: [], open: [], ceilings: {} };
}

/**
 * Decides about a run and remembers it when it is admitted. Asking again gives the same answer. A run that gave its place
 * back while it waited gets one again without being judged a second time.
 */
export function admit(state: BreakerState, request: Admission, nowMs: number): AdmissionAnswer {
  const { workflowId, runId, runbook, fingerprint, place } = request;
  const known = state.running.find((run) => isSame(run, request));
  const has = known !== undefined && (place === null || known.pool !== null);
  if (place !== null && !has) {
    const taken = state.running.filter(({ pool }) => pool === place.pool).length;
    const { maxConcurrent } = request.limits;
    if (taken >= maxConcurrent) {
      const reason = `${taken} of ${maxConcurrent} places of the service for ${place.pool} are taken`;
      return { state: 'queued', mode: request.mode, reason };
    }
  }
  if (known !== undefined) {
    // Who was not admitted before has not heard the answer: what people must be told is in it, and until when it rests.
    const answer = request.again
      ? { ...known.verdict, tripped: undefined, notBefore: undefined }
      : known.verdict;
    known.pool = poolOf(answer, place);
    return answer;
  }
  const unheard = forgetFormer(state, request);
  const verdict = request.again
    ? ({ state: 'admitted', mode: request.mode, reason: '' } as const)
    : judge(state, request, nowMs, unheard);
  const startedAt = iso(nowMs);
  const pool = poolOf(verdict, place);
  state.running.push({ workflowId, runId, runbook, fingerprint, pool, startedAt, verdict });
  return verdict;
}

/** Whoever has to rest first needs no place for that. */
function poolOf({ notBefore }: AdmissionAnswer, place: Admission['place']): RunningRun['pool'] {
  return notBefore === undefined ? (place?.pool ?? null) : null;
}

/** A run waits for a person, or rests: others may have its place. */
export function rest(state: BreakerState, run: Release): void {
  const found = state.running.find((one) => isSame(one, run));
  if (found !== undefined) found.pool = null;
}

/**
 * A run ended: its place is free, it counts whatever came of it, and a bad outcome lowers the runbook's mode, also of a run
 * that only the guard before this one knew.
 */
export function end(state: BreakerState, run: Ending, nowMs: number): void {
  const found = state.running.find((one) => isSame(one, run));
  if (found === undefined) {
    const former = formerOf(state, run);
    if (former !== undefined) {
      Object.assign(former, { endedAt: iso(nowMs), outcome: run.outcome });
      delete former.run;
    }
    const known = Object.keys(state.ceilings).length;
    if (isRunbook(run.runbook) && known < MAX_CEILINGS) lowerAfter(state, run.runbook, run, nowMs);
    return;
  }
  state.running = state.running.filter((one) => one !== found);
  const { runbook, fingerprint, startedAt } = found;
  state.past.push({ runbook, fingerprint, startedAt, endedAt: iso(nowMs), outcome: run.outcome });
  state.past = state.past.slice(-MAX_PAST);
  lowerAfter(state, runbook, run, nowMs);
}

/** A run that only the guard before this one has admitted, and that has not ended yet. */
const formerOf = ({ past }: BreakerState, run: Release): PastRun | undefined =>
  past.find((one) => one.run !== undefined && isSame(one.run, run));

/** It asks again because nobody answered it: that is no recurrence. Whether there was such a run. */
function forgetFormer(state: BreakerState, run: Release): boolean {
  const former = formerOf(state, run);
  state.past = state.past.filter((one) => one !== former);
  return former !== undefined;
}

function lowerAfter(state: BreakerState, runbook: string, run: Ending, nowMs: number): void {
  const mode = afterOutcome(run.outcome);
  if (mode === undefined || lower(mode, state.ceilings[runbook]?.mode ?? 'auto') !== mode) return;
  state.ceilings[runbook] = {
    mode,
    since: iso(nowMs),
    by: 'breaker',
    reason: `${run.workflowId} ended as ${run.outcome}`,
  };
}

/** Lets a runbook climb the ladder again, or forgets what it has against its alerts. A person's decision. */
export function raise(
  state: BreakerState,
  runbook: string,
  mode: Mode,
  by: string,
  reason: string,
  nowMs: number,
) {
  if (mode === 'auto') delete state.ceilings[runbook];
  else state.ceilings[runbook] = { mode, since: iso(nowMs), by, reason };
}

/** Closes what is open for a runbook. A person's decision. */
export function reset(state: BreakerState, runbook: string): void {
  state.open = state.open.filter((one) => one.runbook !== runbook);
  state.past = state.past.filter((one) => one.runbook !== runbook);
}

/** What is open at that time. */
export function openAt(state: BreakerState, nowMs: number): OpenBreaker[] {
  return state.open.filter(({ until }) => Date.parse(until) > nowMs);
}

/** A run that was undone, or left something half done, may be tried again with a person's word; one that needed a person only looks. */
function afterOutcome(outcome: string): Mode | undefined {
  if (outcome === 'NEEDS_HUMAN') return 'observe';
  return outcome === 'ROLLED_BACK' || outcome === 'PARTIAL' ? 'propose' : undefined;
}

/** `unheard`: it may be the one that opened the breaker, and whom the guard before this one could not tell any more. */
function judge(state: BreakerState, request: Admission, nowMs: number, unheard: boolean): AdmissionAnswer {
  const { runbook, fingerprint, limits } = request;
  state.open = openAt(state, nowMs);
  const ceiling = state.ceilings[runbook];
  let verdict: AdmissionAnswer = { state: 'admitted', mode: request.mode, reason: '' };
  if (ceiling !== undefined && lower(ceiling.mode, verdict.mode) !== verdict.mode) {
    verdict = {
      ...verdict,
      mode: ceiling.mode,
      reason: `lowered by ${ceiling.by} at ${ceiling.since}: ${ceiling.reason}`,
    };
  }
  if (fingerprint === null) return verdict;
  const before = recent(state, request, nowMs);
  const minutes = Math.round(limits.windowMs / 60_000);
  const flaps = before.filter(({ outcome }) => outcome === 'NOTHING_TO_DO').length;
  if (flaps >= limits.flapLimit) {
    const reason = `the alert flaps: ${flaps} runs within ${minutes} minutes found nothing to do`;
    verdict = trip(state, request, verdict, { mode: 'observe', reason, unheard }, nowMs);
  } else if (before.length >= limits.maxRecurrences) {
    const reason = `${before.length} runs for this alert within ${minutes} minutes did not keep it away`;
    verdict = trip(state, request, verdict, { mode: 'propose', reason, unheard }, nowMs);
  } else verdict = whileOpen(state, request, verdict, nowMs);
  const lastEnd = Math.max(0, ...before.map(({ endedAt }) => Date.parse(endedAt ?? iso(0))));
  const notBefore = lastEnd + limits.cooldownMs;
  return lastEnd > 0 && notBefore > nowMs ? { ...verdict, notBefore: iso(notBefore) } : verdict;
}

function trip(
  state: BreakerState,
  { runbook, fingerprint, limits }: Admission,
  verdict: AdmissionAnswer,
  { mode, reason, unheard }: { mode: Mode; reason: string; unheard: boolean },
  nowMs: number,
): AdmissionAnswer {
  const known = openFor(state, { runbook, fingerprint });
  const until = iso(nowMs + limits.windowMs);
  const worse = known !== undefined && lower(mode, known.mode) === mode && mode !== known.mode;
  if (known === undefined) {
    state.open.push({ runbook, fingerprint: fingerprint ?? '', mode, reason, since: iso(nowMs), until });
    state.open = state.open.slice(-MAX_OPEN);
  } else Object.assign(known, { mode, reason, until });
  const lowered = lower(mode, verdict.mode);
  return {
    ...verdict,
    ...(lowered === verdict.mode ? {} : { mode: lowered, reason }),
    ...(known === undefined || worse || unheard
      ? { tripped: `${runbook}: ${reason}; from now on: ${mode}` }
      : {}),
  };
}

/** It closes when the window has passed without a run, and this is one. */
function whileOpen(
  state: BreakerState,
  request: Admission,
  verdict: AdmissionAnswer,
  nowMs: number,
): AdmissionAnswer {
  const open = openFor(state, request);
  if (open === undefined) return verdict;
  open.until = iso(nowMs + request.limits.windowMs);
  const mode = lower(open.mode, verdict.mode);
  return mode === verdict.mode
    ? verdict
    : { ...verdict, mode, reason: `open since ${open.since}: ${open.reason}` };
}

const openFor = (
  { open }: BreakerState,
  { runbook, fingerprint }: Pick<Admission, 'runbook' | 'fingerprint'>,
): OpenBreaker | undefined => open.find((one) => one.runbook === runbook && one.fingerprint === fingerprint);

function recent(state: BreakerState, { runbook, fingerprint, limits }: Admission, nowMs: number): PastRun[] {
  return [...state.past, ...state.running].filter(
    (run) =>
      run.runbook === runbook &&
      run.fingerprint === fingerprint &&
      Date.parse(run.startedAt) > nowMs - limits.windowMs,
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

import { defineUpdate, setHandler } from '@temporalio/workflow';
import { GUARD_ALL } from '../../contract/guard';
import { MODES, type Mode } from '../../contract/modes';
import { placesId, type PlaceRequest } from '../../contract/places';
import { admit, end, raise, reset, rest } from './breaker';
import { noteChange, now } from './changes';
import { say } from './letters';
import { areNumbers, boundedText, isRelease, isSame, isShort, isWish } from './shape';
import { awaitTelling, peopleKnow, tellAtOnce } from './untold';
import { enqueue } from './waiting';
import type {
  Ending,
  GuardState,
  LadderOrder,
  SickReport,
  Admission,
  AdmissionNotice,
  Release,
} from '../../contract/guard';
import { need, refused } from '../kit';

// Updates: a person wants to hear at once that the change was refused, and why.
export const ladderUpdate = defineUpdate<string, [LadderOrder]>('ladder');
export const resetUpdate = defineUpdate<string, [LadderOrder]>('reset');

const SICK_FOR_MS = 3_600_000;
const MAX_SICK = 20;
const MAX_REASON = 500;

/** What the guard of a service hears about runs that nobody started. */
export function admissionSignals(state: GuardState, touched: () => void) {
  return {
    admit: (request: Admission) => {
      if (!isAdmission(request)) return;
      const queued = state.queue.find(({ runId }) => runId === request.runId);
      // Who asks again has not heard the answer.
      if (queued !== undefined) queued.told = false;
      else {
        const shed = enqueue(state.queue, { ...request, since: now(), told: false });
        if (shed !== undefined)
          tell(state, shed, {
            target: state.target,
            state: 'queued',
            mode: shed.mode,
            reason: 'too many wait for a place',
          });
      }
      touched();
    },
    rest: (run: Release) => {
      if (!isRelease(run)) return;
      rest(state.breaker, run);
      touched();
    },
    ended: (ending: Ending) => {
      if (!isRelease(ending)) return;
      const outcome = isShort(ending.outcome) ? ending.outcome : 'UNKNOWN';
      end(state.breaker, { ...ending, outcome }, Date.now());
      state.queue = state.queue.filter(({ runId }) => runId !== ending.runId);
      tellAtOnce(state, ending);
      touched();
    },
    told: (run: Release) => {
      if (!isRelease(run)) return;
      peopleKnow(state, run);
      touched();
    },
    sick: (report: SickReport) => {
      if (typeof report?.service !== 'string' || !areNumbers(report.limit)) return;
      hearOfSickness(state, report);
      touched();
    },
  };
}

/** Registers what people may change about the breaker of a service. */
export function handleBreakerOrders(state: GuardState, touched: () => void): void {
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
        needBreaker(state);
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
      validator: (order: LadderOrder) => {
        needBreaker(state);
        need(order, ['runbook', 'by', 'reason']);
      },
      description: 'Close what is open for a runbook: {"runbook", "by", "reason"}',
    },
  );
}

/** Runs ask the guard of their service: of another one nobody would read it. */
function needBreaker({ target }: GuardState): void {
  if (target !== GUARD_ALL && !target.includes('/')) return;
  const what = target === GUARD_ALL ? 'the kill switch' : target;
  throw refused(`${what} has no breaker, a service has: \`runbooks guard <service>\``);
}

/** Answers runs, the most urgent first; those for whom there is no place hear why, and wait. */
export function admitNext(state: GuardState): void {
  const waiting: GuardState['queue'] = [];
  for (const request of state.queue) {
    const isNew = !state.breaker.running.some((run) => isSame(run, request));
    const verdict = admit(state.breaker, request, Date.now());
    const notice: AdmissionNotice = { target: state.target, ...verdict };
    if (isNew && verdict.tripped !== undefined) {
      noteChange(state, { by: 'breaker', what: 'opened', reason: verdict.tripped });
      awaitTelling(state, request, verdict.tripped);
    }
    if (verdict.state === 'queued') {
      if (!request.told) tell(state, request, notice);
      waiting.push({ ...request, told: true });
    } else if (request.place === null || verdict.notBefore !== undefined) tell(state, request, notice);
    else {
      // It answers the run, when there is a place among those of all services.
      const { workflowId, runId, rank, place } = request;
      const argument: PlaceRequest = { ...place, workflowId, runId, rank, notice };
      say(state, { workflowId: placesId(place.shard), signal: 'want', argument });
    }
  }
  state.queue = waiting;
}

function tell(state: GuardState, { workflowId, runId }: Release, argument: AdmissionNotice): void {
  say(state, { workflowId, runId, signal: 'verdict', argument });
}

/** Too many services in trouble at once have one cause that no runbook of a single service mends: stop everything. */
function hearOfSickness(state: GuardState, { service, reason, limit }: SickReport): void {
  const at = now();
  const recent = Object.entries(state.sick).filter(
    ([, one]) => Date.parse(one.at) > Date.now() - SICK_FOR_MS,
  );
  const sick = [
    ...recent.filter(([name]) => name !== service),
    [service, { at, reason: boundedText(reason, 'it did not say why', MAX_REASON) }] as const,
  ];
  // Every look at the kill switch reads it: more than stop everything need not be known.
  state.sick = Object.fromEntries(sick.slice(-Math.max(limit, MAX_SICK)));
  const services = Object.keys(state.sick);
  if (services.length < limit || state.paused !== null) return;
  state.paused = {
    by: 'breaker',
    reason: `${services.length} services are in trouble within an hour: ${services.join(', ')}`,
    at,
  };
  noteChange(state, { by: 'breaker', what: 'paused', reason: state.paused.reason });
}

/** A signal can come from anybody. One of another shape must not end the guard, nor one that its memo cannot hold. */
function isAdmission(request: Partial<Admission> | null | undefined): request is Admission {
  if (!isRelease(request) || !areNumbers(request.rank)) return false;
  const { limits, place, runbook, fingerprint = null, mode } = request;
  if (!isShort(runbook) || (fingerprint !== null && !isShort(fingerprint))) return false;
  if (!MODES.some((known) => known === mode)) return false;
  if (!areNumbers(limits?.maxConcurrent, limits?.windowMs, limits?.cooldownMs)) return false;
  return place === null || isWish(place);
}

import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Alert } from '../../contract/alert';
import type { Outcome } from '../../contract/report';
import { lower } from '../../contract/modes';
import { causeOf } from './failure';
import { GUARD_ALL, guardId, type AdmissionNotice, type BreakerLimits } from '../../contract/guard';
import type { Tell } from './people';
import type { Policy } from '../../contract/policy';
import { activitiesFor } from './presets';
import { searchAttributes } from '../../contract/search-attributes';
import { addNote, endEntry, publish, startEntry, type RunState } from './state';

const ASK_AGAIN_MS = 60_000;
const BAD: Outcome[] = ['ROLLED_BACK', 'PARTIAL', 'NEEDS_HUMAN'];

export interface Origin {
  /** Nobody started it by hand: an alert or a schedule did. */
  unattended: boolean;
  fingerprint: string | null;
}

/** What started this run. */
export function originOf(input: { alert?: Alert | undefined }): Origin {
  const scheduled = 'TemporalScheduledById' in workflowInfo().searchAttributes;
  return {
    unattended: input.alert !== undefined || scheduled,
    fingerprint: input.alert?.fingerprint ?? null,
  };
}

/** Admission of runs that nobody started: how many at once, how often for the same alert, and how far they may go. */
export function createAdmission(state: RunState, policy: Policy, tell: Tell, origin: Origin) {
  const { service } = policy;
  // A run within another one uses its place; two of them must not wait for each other.
  const child = workflowInfo().memo?.['inPlaceOfParent'] === true || !policy.takesPlace;
  state.holdsPlace = origin.unattended && policy.takesPlace;

  /** Waits for a place and for the cooldown; lowers the mode where the breaker says so, and tells people about it. */
  async function enter(): Promise<void> {
    if (!origin.unattended) return;
    const entry = startEntry(state, 'Admission', 'running');
    try {
      const verdict = await ask(service, policy.breaker);
      if (!child) await ask(GUARD_ALL, { ...policy.breaker, maxConcurrent: policy.maxConcurrent });
      // Whoever only leads and calls people must do so at once, and also where automation may no longer act.
      if (verdict.notBefore !== undefined && policy.takesPlace) await coolDown(verdict.notBefore);
      const mode =
        policy.takesPlace || verdict.mode !== 'observe' ? verdict.mode : lower('propose', policy.mode);
      if (mode !== policy.mode) lowerMode({ ...verdict, mode });
      endEntry(
        state,
        entry,
        'done',
        verdict.reason === '' ? `mode ${policy.mode}` : `mode ${policy.mode}: ${verdict.reason}`,
      );
      if (verdict.tripped !== undefined) await callPeople(verdict.tripped);
    } catch (error) {
      endEntry(state, entry, 'failed', causeOf(error).message);
      throw error;
    }
  }

  /** Whether `leave` calls people about that outcome. */
  function callsPeople(outcome: Outcome): boolean {
    return origin.unattended && (BAD.includes(outcome) || outcome === 'FAILED');
  }

  /** Gives the place back and says what came of the run. Whatever goes wrong here cannot change its outcome. */
  async function leave(outcome: Outcome, summary: string): Promise<void> {
    if (!origin.unattended) return;
    await CancellationScope.nonCancellable(async () => {
      if (!child) await say(GUARD_ALL, 'UNKNOWN');
      await say(service, outcome);
      if (BAD.includes(outcome)) await callPeople(`ended as ${outcome}: ${summary}`);
      else if (outcome === 'FAILED') await tell(0, `ended as FAILED: ${summary}`);
    });
  }

  async function ask(target: string, limits: BreakerLimits): Promise<AdmissionNotice> {
    const { workflowId, runId } = workflowInfo();
    const { runbook } = state.report;
    const fingerprint = target === GUARD_ALL ? null : origin.fingerprint;
    const { seekAdmission } = activitiesFor('read', `Admission by ${guardId(target)}`);
    const summary = state.report.summary;
    const verdict = () => state.admissions.get(target);
    for (;;) {
      await seekAdmission({
        target,
        workflowId,
        runId,
        runbook,
        fingerprint,
        mode: policy.mode,
        limits,
        child,
      });
      await condition(() => verdict() !== undefined, ASK_AGAIN_MS);
      if (verdict()?.state === 'queued') {
        state.report.summary = `waiting for a place: ${verdict()?.reason}`;
        publish(state);
        await condition(() => verdict()?.state === 'admitted', ASK_AGAIN_MS);
      }
      const answer = verdict();
      if (answer?.state !== 'admitted') continue;
      state.report.summary = summary;
      return answer;
    }
  }

  async function coolDown(notBefore: string): Promise<void> {
    addNote(state, 'Cooling down', `a run for this alert ended just before; this one looks at ${notBefore}`);
    const left = Math.max(1, Date.parse(notBefore) - Date.now());
    await condition(() => state.alert.resolvedAt !== undefined, left);
  }

  function lowerMode({ mode, reason }: AdmissionNotice): void {
    policy.mode = mode;
    policy.modeReason = reason;
    state.report.mode = mode;
    upsertSearchAttributes([{ key: searchAttributes.mode, value: mode }]);
  }

  /** Also tells the guard of everything, which stops all automation when many services are in trouble at once. */
  async function callPeople(text: string): Promise<void> {
    await tell(0, text);
    const { reportSick } = activitiesFor('read', 'Trouble of this service');
    try {
      const { paused } = await reportSick({ service, reason: text, limit: policy.sickServices });
      if (paused === null) return;
      addNote(state, 'Everything is paused', paused);
      await tell(0, `ALL automation is paused: ${paused}. Look for one cause, then \`runbooks resume\`.`);
    } catch (error) {
      addNote(state, 'The guard of everything could not be told', causeOf(error).message);
    }
  }

  async function say(target: string, outcome: Outcome | 'UNKNOWN'): Promise<void> {
    const { workflowId, runId } = workflowInfo();
    try {
      await getExternalWorkflowHandle(guardId(target)).signal('ended', { workflowId, runId, outcome });
    } catch {
      // The guard is gone, or finds out by itself.
    }
  }

  return { enter, leave, callsPeople };
}

import {
  CancellationScope,
  condition,
  patched,
  proxyLocalActivities,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { Alert } from '../../contract/alert';
import type { AdmissionNotice } from '../../contract/guard';
import { lower } from '../../contract/modes';
import { shardOf, type PlaceWish } from '../../contract/places';
import type { Policy } from '../../contract/policy';
import type { Outcome } from '../../contract/report';
import { searchAttributes } from '../../contract/search-attributes';
import { askAgainAfter } from './ask-again';
import { causeOf } from './failure';
import { hearVerdict } from './messages';
import type { Tell } from './people';
import { placeOfParent } from './place-of-parent';
import { activitiesFor } from './presets';
import { rankOf } from './rank';
import { addNote, endEntry, publish, startEntry, type RunState } from './state';

const BAD: Outcome[] = ['ROLLED_BACK', 'PARTIAL', 'NEEDS_HUMAN'];

// Part of the same turn: a run of a second must not spend most of it on asking.
const { seekAdmission, leaveGuards } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '15 s',
  retry: { maximumAttempts: 3 },
});

export interface Origin {
  /** Nobody started it by hand: an alert or a schedule did. */
  unattended: boolean;
  scheduled: boolean;
  fingerprint: string | null;
}

/** What started this run. */
export function originOf(input: { alert?: Alert | undefined }): Origin {
  const scheduled = 'TemporalScheduledById' in workflowInfo().searchAttributes;
  return {
    unattended: input.alert !== undefined || scheduled,
    scheduled,
    fingerprint: input.alert?.fingerprint ?? null,
  };
}

/** Admission of runs that nobody started: how many at once, how often for the same alert, and how far they may go. */
export function createAdmission(state: RunState, policy: Policy, tell: Tell, origin: Origin) {
  const { service } = policy;
  // A run within another one uses its place: two of them must not wait for each other. Whoever only leads needs none.
  const within = workflowInfo().memo?.['inPlaceOfParent'] === true;
  const place: PlaceWish | null = within || !policy.takesPlace ? null : wishOf(policy, origin);
  let admitted = false;
  state.place = within ? placeOfParent(state) : { give, take };

  /** Waits for a place and for the cooldown; lowers the mode where the breaker says so, and tells people about it. */
  async function enter(): Promise<void> {
    if (!origin.unattended) return;
    const entry = startEntry(state, 'Admission', 'running');
    try {
      const verdict = await ask(rankOf(state), false);
      admitted = true;
      // People are told at once: it may be ended while it rests.
      const early = verdict.tripped !== undefined && patched('tells-before-it-rests');
      if (early) await tellOfBreaker(verdict.tripped!);
      // Whoever only leads and calls people must do so at once, and also where automation may no longer act.
      if (verdict.notBefore !== undefined && policy.takesPlace) {
        await coolDown(verdict.notBefore);
        await take(false);
      }
      const allowed = policy.takesPlace || verdict.mode !== 'observe' ? verdict.mode : 'propose';
      // A verdict is a signal, which can come from anybody: it may only lower.
      const mode = lower(allowed, policy.mode);
      if (mode !== policy.mode) lowerMode({ ...verdict, mode });
      endEntry(
        state,
        entry,
        'done',
        verdict.reason === '' ? `mode ${policy.mode}` : `mode ${policy.mode}: ${verdict.reason}`,
      );
      if (verdict.tripped !== undefined && !early) await callPeople(verdict.tripped);
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
      await sayBye(outcome, false);
      if (BAD.includes(outcome)) await callPeople(`ended as ${outcome}: ${summary}`);
      else if (outcome === 'FAILED') await tell(0, `ended as FAILED: ${summary}`);
    });
  }

  /** Others may have its place while it only waits. */
  async function give(): Promise<void> {
    if (!admitted || place === null) return;
    state.rests = true;
    await CancellationScope.nonCancellable(() => sayBye('UNKNOWN', true));
  }

  /** Takes a place again. A way back waits for none. */
  async function take(answered: boolean): Promise<void> {
    if (!admitted || place === null || state.movement === 'undo') return;
    state.rests = false;
    await ask(rankOf(state, answered), true);
  }

  async function sayBye(outcome: Outcome | 'UNKNOWN', rests: boolean): Promise<void> {
    const { workflowId, runId } = workflowInfo();
    const { runbook } = state.report;
    const shards = [...state.shards];
    state.shards.clear();
    try {
      await leaveGuards({ service, shards, rests, outcome, runbook, workflowId, runId });
    } catch {
      // They find out by themselves.
    }
  }

  async function ask(rank: number, again: boolean): Promise<AdmissionNotice> {
    const { workflowId, runId } = workflowInfo();
    const { runbook, summary } = state.report;
    const { fingerprint } = origin;
    const request = {
      target: service,
      workflowId,
      runId,
      runbook,
      fingerprint,
      mode: policy.mode,
      rank,
      place,
      again,
    };
    state.admissions.delete(service);
    const verdict = () => state.admissions.get(service);
    for (let asked = 0; ; asked += 1) {
      await seekOrWait({ ...request, limits: policy.breaker, waits: asked > 0 });
      const againMs = askAgainAfter(asked);
      await condition(() => verdict() !== undefined, againMs);
      if (verdict()?.state === 'queued') {
        state.report.summary = `waiting for a place: ${verdict()?.reason}`;
        publish(state);
        await condition(() => verdict()?.state === 'admitted', againMs);
      }
      const answer = verdict();
      if (answer?.state !== 'admitted') continue;
      state.report.summary = summary;
      return answer;
    }
  }

  /** A server that takes no signal now is asked again later. */
  async function seekOrWait(request: Parameters<typeof seekAdmission>[0]): Promise<void> {
    try {
      const verdict = await seekAdmission(request);
      if (verdict !== undefined) await hearVerdict(state, verdict);
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      addNote(state, 'The guard could not be asked', causeOf(error).message);
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

  /** Its guard tells people itself where it hears nothing, and the run ends. */
  async function tellOfBreaker(text: string): Promise<void> {
    await callPeople(text);
    const { workflowId, runId } = workflowInfo();
    const { tellGuard } = activitiesFor('read', 'People know of the breaker');
    await CancellationScope.nonCancellable(() =>
      tellGuard({ target: service, signal: 'told', workflowId, runId }).catch(() => undefined),
    );
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

  return { enter, leave, callsPeople };
}

/** The place that a run needs among those of all services; none where the policy was recorded before there were any. */
function wishOf({ service, places }: Policy, { scheduled }: Origin): PlaceWish | null {
  if (places === undefined) return null;
  return { pool: scheduled ? 'schedules' : 'alerts', shard: shardOf(service, places.shards), limits: places };
}

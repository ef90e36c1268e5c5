import { CancelledFailure, CancellationScope, condition } from '@temporalio/workflow';
import type { Movement, TimelineEntry } from '../../contract/report';
import { causeOf, isRefusal, verificationFailed } from './failure';
import { beginChange, forgetChange } from './changes';
import { activitiesFor, type StepKind } from './presets';
import { passKillSwitch } from './switch';
import { endEntry, publish, startEntry, type RunState } from './state';
import type { Call, Run, StepOptions, Verdict } from './run';
import type { UndoStack } from './undo';

export type Steps = ReturnType<typeof createSteps>;

const MAX_SOAK_CHECKS = 200;

/** What a run does: each call is one line of its timeline. */
export function createSteps(state: RunState, undos: UndoStack) {
  /** One activity, or several that belong together, as one line of the timeline. */
  async function step<T>(title: string, call: Call<T>, options: StepOptions<T> = {}): Promise<T> {
    const { kind = 'read', describe, permittedMs } = options;
    stopIfCancelled();
    if (changesSomething(options)) await passKillSwitch(state, title);
    const done = begin(title, options);
    const entry = startEntry(state, title, 'running');
    try {
      const result = await call(activitiesFor(kind, title, state, permittedMs));
      done(result);
      endEntry(state, entry, 'done', describe?.(result));
      // The result of an activity that did not hear the cancellation still arrives.
      stopIfCancelled();
      return result;
    } catch (error) {
      if (entry.status === 'running') {
        endEntry(state, entry, 'failed', causeOf(error).message);
        // All or nothing, and it said no. After a lost connection or a lost worker nobody knows.
        if (options.undo === 'atomic' && isRefusal(error)) forgetChange(state, title);
      }
      throw error;
    }
  }

  /** What the kill switch holds back. A way back is none of it: what was begun may always be taken back. */
  function changesSomething<T>({ kind = 'read', undo }: StepOptions<T>): boolean {
    if (isRead(kind) || state.movement === 'undo' || undo === 'read-only' || undo === 'disposable')
      return false;
    return typeof undo !== 'object' || !('takesBack' in undo);
  }

  /** Before it starts, because its outcome may stay unknown. Returns what to call once it is done. */
  function begin<T>(title: string, { kind = 'read', undo }: StepOptions<T>): (result: T) => void {
    if (isRead(kind)) return () => undefined;
    if (undo === undefined)
      throw new TypeError(`"${title}" changes something: its "undo" must say what of it stays`);
    // A step of an undo has no way back of its own.
    const undoing = state.movement === 'undo';
    if (typeof undo === 'object' && 'back' in undo && !undoing) {
      const registered = { ...undo, changed: title, done: false };
      undos.push(registered);
      return () => void (registered.done = true);
    }
    if (typeof undo === 'object' && 'coveredBy' in undo && !undoing && !undos.has(undo.coveredBy))
      throw new TypeError(`"${title}" is not covered: no way back called "${undo.coveredBy}" is registered`);
    if (typeof undo !== 'object' || !('takesBack' in undo)) return beginChange(state, title, undo);
    return () => {
      undos.settle(undo.takesBack);
      forgetChange(state, undo.takesBack);
    };
  }

  /** Nothing of it is on the timeline. */
  const look: Run['look'] = (title, call) => call(activitiesFor('read', title, state));

  /** Its answer may be no. */
  async function check(title: string, call: Call<Verdict>): Promise<Verdict> {
    return within('verify', async () => {
      const entry = startEntry(state, title, 'running');
      try {
        const verdict = await call(activitiesFor('read', title, state));
        endEntry(state, entry, verdict.ok ? 'done' : 'failed', verdict.detail);
        return verdict;
      } catch (error) {
        endEntry(state, entry, 'failed', causeOf(error).message);
        throw error;
      }
    });
  }

  /** A step whose result must satisfy `holds`; otherwise the run fails and unwinds. */
  async function verify<T>(title: string, call: Call<T>, holds: (result: T) => Verdict): Promise<T> {
    return within('verify', async () => {
      const entry = startEntry(state, title, 'running');
      try {
        const result = await call(activitiesFor('long', title, state));
        const { ok, detail } = holds(result);
        endEntry(state, entry, ok ? 'done' : 'failed', detail);
        stopIfCancelled();
        if (!ok) throw verificationFailed(`${title}: ${detail}`);
        return result;
      } catch (error) {
        if (entry.status === 'running') endEntry(state, entry, 'failed', causeOf(error).message);
        throw error;
      }
    });
  }

  /** Watches for `forMs`; a check that does not hold fails the run. One line of the timeline. */
  async function soak(
    title: string,
    call: Call<Verdict>,
    { forMs, everyMs }: { forMs: number; everyMs: number },
  ): Promise<void> {
    if (forMs <= 0) return;
    await within('verify', async () => {
      const entry = startEntry(state, title, 'running');
      try {
        await watch(entry, title, call, forMs, Math.max(everyMs, Math.ceil(forMs / MAX_SOAK_CHECKS)));
      } catch (error) {
        endEntry(state, entry, 'failed', causeOf(error).message);
        throw error;
      }
    });
  }

  async function watch(
    entry: TimelineEntry,
    title: string,
    call: Call<Verdict>,
    forMs: number,
    everyMs: number,
  ): Promise<void> {
    const until = Date.now() + forMs;
    let checks = 0;
    for (;;) {
      const { ok, detail } = await call(activitiesFor('read', title, state));
      checks += 1;
      if (!ok) throw verificationFailed(`${title}: ${detail}`);
      const left = until - Date.now();
      const resolved = state.alert.resolvedAt !== undefined;
      if (left <= 0 || resolved) {
        const why = resolved && left > 0 ? '; the alert is resolved' : '';
        return endEntry(state, entry, 'done', `${checks} checks, last: ${detail}${why}`);
      }
      entry.detail = `${checks} checks so far, last: ${detail}`;
      publish(state);
      await condition(() => state.alert.resolvedAt !== undefined, Math.min(everyMs, left));
    }
  }

  /** Everything in `body` belongs to that movement. */
  async function within<T>(movement: Movement, body: () => Promise<T>): Promise<T> {
    const before = state.movement;
    // What happens inside an undo is part of the undo.
    if (before !== 'undo') state.movement = movement;
    try {
      return await body();
    } finally {
      state.movement = before === 'diagnose' && movement === 'gate' ? 'act' : before;
    }
  }

  return { step, look, check, verify, soak, within };
}

function isRead(kind: StepKind): boolean {
  return kind === 'read' || kind === 'quick';
}

/** The result of an activity that did not hear the cancellation still arrives; nothing may follow it. */
function stopIfCancelled(): void {
  if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('cancelled');
}

import type { Change, RunReport } from '../../contract/report';
import type { RunState } from './state';
import { now } from './state';
import type { WayBack } from './way-back';

/**
 * Remembers a step that changes something, before it starts: its outcome may stay unknown. Returns what to call once it is
 * done. A step with a way back of its own is on the stack of undos instead, until that is given up.
 */
export function beginChange<T>(
  state: RunState,
  step: string,
  wayBack: WayBack<T> | 'read-only',
): (result: T) => void {
  if (wayBack === 'atomic') return begin(state, { step, kind: 'kept', what: step });
  if (typeof wayBack !== 'object') return () => undefined;
  // Nobody goes back from a way back: what a step of it did stays where it gets stuck.
  if ('back' in wayBack && state.movement === 'undo') return begin(state, { step, kind: 'kept', what: step });
  if ('harmless' in wayBack) return begin(state, { step, kind: 'harmless', what: wayBack.harmless });
  if (!('irreversible' in wayBack)) return () => undefined;
  const { irreversible: what, unless } = wayBack;
  return begin(state, { step, kind: 'irreversible', what }, unless);
}

/** What a way back did on its way is no change of its own once it is gone to its end; what nothing brings back is. */
export function settleWayBack(state: RunState, before: Change[]): void {
  keepOnly(state, (change) => change.kind !== 'kept' || before.includes(change));
}

/** Of a step whose way back is given up; `done` is false where it is not known how far it came. */
export function keepChange(state: RunState, what: string, done: boolean): void {
  addChange(state, { step: what, kind: 'kept', what, done });
}

/** Of another run that this one started. */
export function takeOverChanges(state: RunState, runbook: string, changes: Change[] = []): void {
  for (const change of changes) addChange(state, { ...change, what: `${runbook}: ${change.what}` });
}

/** Of something that began, and of which nobody knows what it did. */
export function addUnknownChange(state: RunState, step: string, what: string): void {
  addChange(state, { step, kind: 'irreversible', what, done: false });
}

/** What was changed and is not undone; what is harmless is not among it. */
export function standingChanges({ changes = [] }: RunReport): Change[] {
  return changes.filter(({ kind }) => kind !== 'harmless');
}

/** `; changed and not undone: a, perhaps b; beside it stays: c`, or nothing. */
export function changesText(standing: Change[], all: Change[]): string {
  const list = (changes: Change[]) =>
    [...new Set(changes.map(({ what, done }) => (done ? what : `perhaps ${what}`)))].join(', ');
  const harmless = all.filter(({ kind }) => kind === 'harmless');
  return [
    standing.length === 0 ? '' : `; changed and not undone: ${list(standing)}`,
    harmless.length === 0 ? '' : `; beside it stays: ${list(harmless)}`,
  ].join('');
}

function begin<T>(
  state: RunState,
  draft: Pick<Change, 'step' | 'kind' | 'what'>,
  unless: (result: T) => boolean | 'unknown' = () => false,
): (result: T) => void {
  const change = addChange(state, { ...draft, done: false });
  return (result) => {
    const spared = unless(result);
    change.done = spared !== 'unknown';
    if (spared === true) keepOnly(state, (one) => one !== change);
  };
}

function addChange(state: RunState, change: Omit<Change, 'at'>): Change {
  const whole = { at: now(), ...change };
  state.report.changes = [...(state.report.changes ?? []), whole];
  return whole;
}

/** That step was taken back by another one. */
export function forgetChange(state: RunState, step: string): void {
  keepOnly(state, (change) => change.step !== step);
}

function keepOnly(state: RunState, stays: (change: Change) => boolean): void {
  const left = (state.report.changes ?? []).filter(stays);
  if (left.length === 0) delete state.report.changes;
  else state.report.changes = left;
}

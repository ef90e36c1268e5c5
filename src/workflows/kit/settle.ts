import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Outcome, RunReport } from '../../contract/report';
import { changesText, standingChanges } from './changes';
import { causeOf, Stop } from './failure';
import type { RunState } from './state';
import type { UndoStack } from './undo';

/** Outcomes that say: everything is as before. */
const AS_BEFORE: Outcome[] = ['FAILED', 'CANCELLED', 'REJECTED', 'ROLLED_BACK', 'OBSERVED'];

/** Decides the outcome of a run that did not reach its end. */
export function settle(state: RunState, error: unknown, undos: UndoStack): void {
  const { report } = state;
  const { undone, stuck } = undos.result();
  // What could not be undone any more, because an undo got stuck, stays as well.
  undos.keep(0);
  const { outcome, summary } = endingOf(error, undone, stuck);
  report.outcome = outcome;
  report.summary = summary;
}

/** Says what of it stays, once everything was tidied up: that may have taken something back. */
export function tellWhatStays({ report }: RunState): void {
  const { outcome, summary } = report as RunReport & { outcome: Outcome };
  const standing = standingChanges(report);
  const asIs = outcome === 'CANCELLED' && standing.length === 0 ? ' before anything was changed' : '';
  report.summary = `${summary}${asIs}${changesText(standing, report.changes ?? [])}`;
  // What it did made the symptom go away: no flap of the alert.
  if (standing.length > 0 && outcome === 'NOTHING_TO_DO') report.outcome = 'SUCCEEDED';
  if (standing.length === 0 || !AS_BEFORE.includes(outcome)) return;
  report.outcome = 'PARTIAL';
  report.instead = outcome;
}

function endingOf(
  error: unknown,
  undone: number,
  stuck: string | undefined,
): { outcome: Outcome; summary: string } {
  const { type, message } = causeOf(error);
  const back = undone > 0 ? '; what had been done was undone' : '';
  if (stuck !== undefined) return { outcome: 'NEEDS_HUMAN', summary: `${stuck} (after: ${message})` };
  if (error instanceof Stop) return { outcome: error.outcome, summary: `${error.summary}${back}` };
  // What came of a cancellation is the cancellation, whatever the interrupted step made of it.
  if (isCancellation(error) || CancellationScope.current().consideredCancelled)
    return undone > 0
      ? { outcome: 'ROLLED_BACK', summary: `cancelled${back}` }
      : { outcome: 'CANCELLED', summary: 'cancelled' };
  return { outcome: undone > 0 ? 'ROLLED_BACK' : 'FAILED', summary: `${message} (${type})` };
}

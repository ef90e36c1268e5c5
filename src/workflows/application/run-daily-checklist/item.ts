import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { ChecklistItem, Color } from '../../../contract/checklist';
import { causeOf, duration, type Run } from '../../kit';

/** What was seen of an item. */
export interface Seen {
  color: Color;
  figure: string;
  /** Where it is another one than usual. */
  next?: string;
}

/** A line of the checklist that is still to be read. */
export interface Item {
  name: string;
  objective: string;
  /** What to do where it is not green. */
  next: string;
  /** No answer is an answer: default yellow. */
  silence?: 'red';
  limitMs: number;
  read: (run: Run) => Promise<Seen>;
}

/** An item that nothing is configured for: `what` would have it looked at. */
export function notConfigured(name: string, what: string): ChecklistItem {
  return {
    name,
    color: 'not configured',
    figure: 'not looked at',
    objective: 'none',
    next: `configure ${what}`,
  };
}

/** Reads one. What goes wrong with it is told in its line, and keeps nobody from the others. */
export async function readItem(
  run: Run,
  { name, objective, silence, limitMs, ...item }: Item,
): Promise<ChecklistItem> {
  try {
    const {
      color,
      figure,
      next = item.next,
    } = await CancellationScope.withTimeout(limitMs, () => item.read(run));
    return { name, color, figure, objective, ...(color === 'green' ? {} : { next }) };
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    const why = isCancellation(error) ? `no answer within ${duration(limitMs)}` : causeOf(error).message;
    const figure = `could not be read: ${why}`;
    return {
      name,
      color: silence ?? 'yellow',
      figure,
      objective,
      next: `look at it by hand; then ${item.next}`,
    };
  }
}

/** Above the first it is yellow, above the second red. */
export function colorOf(value: number, { warning, critical }: { warning: number; critical: number }): Color {
  if (value > critical) return 'red';
  return value > warning ? 'yellow' : 'green';
}

import type { ChecklistItem, ChecklistRecord, Color } from '../../../contract/checklist';
import { shortened, type Run } from '../../kit';

const COLORS: Color[] = ['red', 'yellow', 'green', 'not configured'];

/** Current Details have room for the beginning of what was seen; the report has all of it. */
const ROOM = 3_500;
const LINE_BUDGET = 400;
const NAME_BUDGET = 60;
const GREEN_BUDGET = 1_000;
const MAX_LINES = 25;

export function ofColor(items: ChecklistItem[], color: Color): ChecklistItem[] {
  return items.filter((item) => item.color === color);
}

/** `12 green, 1 yellow (deadlocks), 1 not configured (queues)`. */
export function countsOf(items: ChecklistItem[]): string {
  return COLORS.flatMap((color) => {
    const found = ofColor(items, color);
    if (found.length === 0) return [];
    const names = color === 'green' ? '' : ` (${found.map(({ name }) => name).join(', ')})`;
    return [`${found.length} ${color}${names}`];
  }).join(', ');
}

/** The whole of a line in words. */
export function textOf({ color, figure, objective, next }: ChecklistItem): string {
  const wanted = objective === 'none' ? '' : `; wanted: ${objective}`;
  return `${color}: ${figure}${wanted}${next === undefined ? '' : `; next: ${next}`}`;
}

/** As a list in Current Details, as the measured facts of the report, and as a field for programs. */
export function showItems(run: Run, record: ChecklistRecord): void {
  for (const item of record.items) run.fact(item.name, textOf(item));
  for (const color of COLORS) run.fact(`items ${color}`, ofColor(record.items, color).length);
  run.show({ details: () => [detailsOf(record.items)], fields: { checklist: record } });
}

/** Green ones by their names only: the page must not grow beyond what an address can hold. */
export function detailsOf(items: ChecklistItem[]): string {
  const worth = COLORS.filter((color) => color !== 'green').flatMap((color) => ofColor(items, color));
  const shown = worth.slice(0, MAX_LINES);
  const budget = Math.min(LINE_BUDGET, Math.floor(ROOM / Math.max(1, shown.length)));
  const lines = shown.map(
    (item) => `- **${shortened(item.name, NAME_BUDGET)}** ${shortened(textOf(item), budget)}`,
  );
  if (worth.length > shown.length) lines.push(`- and ${worth.length - shown.length} more: runbooks report`);
  const green = ofColor(items, 'green').map(({ name }) => name);
  if (green.length > 0) lines.push(`- green: ${shortened(green.join(', '), GREEN_BUDGET)}`);
  return ['## Checklist', lines.join('\n')].join('\n\n');
}

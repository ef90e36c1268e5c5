import type { ChecklistItem, ChecklistRecord, Color } from '../../../contract/checklist';
import { inline, type Run } from '../../kit';

const COLORS: Color[] = ['red', 'yellow', 'green', 'not configured'];

/** Current Details have room for the beginning of a figure; the report has all of it. */
const SHOWN = 160;

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

/** As a table in Current Details, as the measured facts of the report, and as a field for programs. */
export function showItems(run: Run, record: ChecklistRecord): void {
  for (const item of record.items) run.fact(item.name, textOf(item));
  for (const color of COLORS) run.fact(`items ${color}`, ofColor(record.items, color).length);
  run.show({ details: () => [tableOf(record.items)], fields: { checklist: record } });
}

function tableOf(items: ChecklistItem[]): string {
  const rows = COLORS.flatMap((color) => ofColor(items, color)).map(
    ({ name, color, figure, objective, next }) =>
      [name, color, figure, objective, next ?? ''].map((cell) => inline(cut(cell))).join(' | '),
  );
  const head = ['item', 'is', 'seen', 'wanted', 'next'];
  return [
    '## Checklist',
    '',
    `| ${head.join(' | ')} |`,
    `|${' --- |'.repeat(head.length)}`,
    ...rows.map((row) => `| ${row} |`),
  ].join('\n');
}

function cut(text: string): string {
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 1)}…`;
}

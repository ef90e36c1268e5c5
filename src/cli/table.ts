import { stripVTControlCharacters } from 'node:util';

const GAP = '  ';

const MOST = 100;
/** Below this the last column would be a ribbon. */
const LEAST = 24;

/** How wide a text is written: as wide as the terminal, and never so wide that it is hard to read. */
export function textWidth(): number {
  return Math.min(MOST, process.stdout.columns ?? MOST);
}

/**
 * A plain text table with aligned columns; the last column is wrapped to `width`. Where there is no room for columns,
 * each row is a paragraph with a line for each of them.
 */
export function formatTable(
  head: string[],
  rows: string[][],
  width = process.stdout.columns ?? MOST,
): string {
  const columns = head.length;
  const widths = head.map((name, column) =>
    Math.max(visible(name), ...rows.map((row) => visible(row[column] ?? ''))),
  );
  const before = widths.slice(0, columns - 1).reduce((sum, one) => sum + one + GAP.length, 0);
  if (before + LEAST > width && columns > 2) return paragraphs(head, rows, width);
  const last = Math.max(LEAST, width - before);
  const lines = [head.map((name) => name.toUpperCase()), ...rows].flatMap((row) => {
    const wrapped = wrap(row[columns - 1] ?? '', last);
    return wrapped.map((text, index) => {
      const cells = row
        .slice(0, columns - 1)
        .map((cell, column) => pad(index === 0 ? cell : '', widths[column] ?? 0));
      return [...cells, text].join(GAP).trimEnd();
    });
  });
  return lines.join('\n');
}

function paragraphs(head: string[], rows: string[][], width: number): string {
  const label = Math.max(...head.slice(1).map(visible)) + GAP.length;
  const paragraph = ([first = '', ...others]: string[]): string[] => [
    first,
    ...others.flatMap((cell, index) =>
      cell === ''
        ? []
        : wrap(cell, Math.max(LEAST, width - GAP.length - label)).map(
            (line, at) => `${GAP}${pad(at === 0 ? (head[index + 1] ?? '').toUpperCase() : '', label)}${line}`,
          ),
    ),
  ];
  return rows.flatMap(paragraph).join('\n');
}

/** A line with what follows below it, indented; it is broken only where it is wider than the terminal. */
export function hang(line: string, indent: number): string {
  const width = process.stdout.columns ?? Infinity;
  if (visible(line) <= width) return line;
  const [first = '', ...others] = wrap(line, width - indent);
  return [first, ...others.map((one) => ' '.repeat(indent) + one)].join('\n');
}

function visible(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - visible(text)));
}

/** Breaks a text at spaces; a longer word stands alone on its line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && visible(longer) > width) {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

/** Wraps each line of a text; one that is indented is to be pasted, and stays as it is. */
export function wrapLines(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => (/^\s/.test(line) ? [line] : wrap(line, width)));
}

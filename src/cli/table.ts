import { stripVTControlCharacters } from 'node:util';

const GAP = '  ';

const MOST = 100;
/** Below this a column that is wrapped would be a ribbon. */
const LEAST = 24;

/** How wide a text is written: as wide as the terminal, and never so wide that it is hard to read. */
export function textWidth(columns = process.stdout.columns): number {
  return Math.min(MOST, columns ?? MOST);
}

/**
 * A plain text table with aligned columns; the last column is wrapped to `width`, and so is the widest of the others
 * where they leave it no room. Where that does not help, each row is a paragraph with a line for each of its cells.
 */
export function formatTable(
  head: string[],
  rows: string[][],
  width = process.stdout.columns ?? MOST,
): string {
  const widths = fit(head, rows, width);
  if (widths === undefined) return paragraphs(head, rows, width);
  const lines = [head.map((name) => name.toUpperCase()), ...rows].flatMap((row) => {
    const cells = widths.map((room, column) => wrap(row[column] ?? '', room));
    const height = Math.max(...cells.map((cell) => cell.length));
    return Array.from({ length: height }, (_, line) =>
      cells
        .map((cell, column) => pad(cell[line] ?? '', widths[column] ?? 0))
        .join(GAP)
        .trimEnd(),
    );
  });
  return lines.join('\n');
}

/** How wide each column is; absent where `width` has no room for columns. */
function fit(head: string[], rows: string[][], width: number): number[] | undefined {
  const cells = (column: number) => [head, ...rows].map((row) => row[column] ?? '');
  const widths = head.slice(0, -1).map((_, column) => Math.max(...cells(column).map(visible)));
  const left = () => width - widths.reduce((sum, one) => sum + one + GAP.length, 0);
  const widest = widths.indexOf(Math.max(...widths));
  if (left() < LEAST && widths.length > 1) {
    const word = Math.max(...cells(widest).flatMap((cell) => cell.split(/\s+/).map(visible)));
    const narrower = (widths[widest] ?? 0) - (LEAST - left());
    if (narrower < Math.max(LEAST, word)) return undefined;
    widths[widest] = narrower;
  }
  const last = Math.max(LEAST, left());
  const longest = Math.max(...cells(widths.length).flatMap((cell) => cell.split(/\s+/).map(visible)));
  // A word that a paragraph has room for is not pushed over the edge.
  if (longest > last && longest <= width - GAP.length - labelWidth(head)) return undefined;
  return [...widths, last];
}

/** Of the names in front of the cells of a paragraph. */
const labelWidth = (head: string[]): number => Math.max(...head.slice(1).map(visible)) + GAP.length;

function paragraphs(head: string[], rows: string[][], width: number): string {
  const label = labelWidth(head);
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

/** Texts beside their label, in one line; where the terminal has no room for that, each begins one of its own. */
export function hang(label: string, texts: string[], width = process.stdout.columns ?? Infinity): string {
  const room = width - visible(label);
  const line = texts.join(GAP);
  const lines = visible(line) <= room ? [line] : texts.flatMap((text) => wrap(text, room));
  return label + lines.join(`\n${' '.repeat(visible(label))}`);
}

const SHELL_WORD = /(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+/g;
const GOES_ON = ' \\';

/** A command as lines that can be pasted: one that is too wide is broken, but never between an option and its value. */
export function pasteLines(
  command: string,
  indent: string,
  width = process.stdout.columns ?? Infinity,
): string[] {
  if (visible(indent + command) <= width) return [indent + command];
  const words: string[] = command.match(SHELL_WORD) ?? [];
  const parts: string[] = [];
  for (const word of words) {
    if (parts.at(-1)?.startsWith('--') === true && !word.startsWith('--'))
      parts.push(`${parts.pop()} ${word}`);
    else parts.push(word);
  }
  const lines = [indent + parts.shift()];
  for (const part of parts) {
    const longer = `${lines.at(-1)} ${part}`;
    if (visible(longer + GOES_ON) <= width) lines[lines.length - 1] = longer;
    else lines.push(`${indent}${GAP}${part}`);
  }
  return lines.map((line, index) => (index < lines.length - 1 ? line + GOES_ON : line));
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

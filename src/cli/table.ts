import { stripVTControlCharacters } from 'node:util';

const GAP = '  ';

/** A plain text table with aligned columns; the last column is wrapped to `width`. */
export function formatTable(head: string[], rows: string[][], width = process.stdout.columns ?? 100): string {
  const columns = head.length;
  const widths = head.map((name, column) =>
    Math.max(visible(name), ...rows.map((row) => visible(row[column] ?? ''))),
  );
  const before = widths.slice(0, columns - 1).reduce((sum, one) => sum + one + GAP.length, 0);
  const last = Math.max(24, width - before);
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

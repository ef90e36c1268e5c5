/** Text from outside (servers, alerts, health checks, people) as it may be shown to somebody. */

/** Escape sequences of terminals as a whole: what is left of one without its beginning would be noise. ECMA-48 */
const SEQUENCES = new RegExp(
  [
    // Strings with an end: titles, links, device control.
    '(?:\\u001b[\\]PX^_]|[\\u009d\\u0090\\u0098\\u009e\\u009f])[^\\u0007\\u001b\\u009c\\n]*(?:\\u0007|\\u001b\\\\|\\u009c)',
    // Colours, movements of the cursor, what clears the screen.
    '(?:\\u001b\\[|\\u009b)[0-?]*[ -/]*[@-~]',
    // All others that begin with an escape.
    '\\u001b[ -/]*[0-~]?',
  ].join('|'),
  'g',
);

/**
 * Controls but tab and newline, half characters, and what is not seen but changes what is: the direction of a line,
 * the end of it, letters that only machines read.
 */
const UNSEEN =
  /[^\P{Cc}\t\n]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\u2028\u2029\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

/** The text without anything that acts on a terminal, or on the reading order, instead of being read. */
export function printable(text: string): string {
  return text
    .replace(/\r\n?|[\v\f\u0085\u2028\u2029]/g, '\n')
    .replace(SEQUENCES, '')
    .replace(UNSEEN, '');
}

/** The same on one line. */
export function printableLine(text: string): string {
  return printable(text).replace(/\s+/g, ' ').trim();
}

/** JSON that a terminal only shows: the same value, with what would act on it written as escapes. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\u2028\u2029\ufeff\ufff9-\ufffb]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

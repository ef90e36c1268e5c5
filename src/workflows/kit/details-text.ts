/**
 * Text inside Current Details. The Temporal UI renders it as Markdown with "smart" typography (`--` becomes a dash, `1/2`
 * a fraction, `$x$` a formula), passes HTML through, escapes `&lt;` once more, and puts the whole into an address.
 */

import { printable } from '../../contract/printable';

/** Text from outside on one line, shown as it is written; a pair of backticks stays code. */
export function inline(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .split(/(?<!`)(`[^`]+`)(?!`)/)
    .map((part, index) => (index % 2 === 1 ? part : escapeMarkup(part)))
    .join('');
}

/** A name to be read or copied exactly. */
export function code(text: string): string {
  return `\`${text.replace(/[\s`]+/g, ' ')}\``;
}

/** `inline`, cut to about so many characters of an address. */
export function shortened(text: string, budget: number): string {
  const length = addressLength(text);
  if (length <= budget) return inline(text);
  return `${inline(text.slice(0, Math.floor((text.length * budget) / length)))} …`;
}

function escapeMarkup(text: string): string {
  return text
    .replace(/[\\`*_[\]$~^|!<>&]/g, '\\$&')
    .replace(/--+/g, (dashes) => '\\-'.repeat(dashes.length))
    .replace(/\((?=(?:c|r|tm)\))/gi, '\\(')
    .replace(/(\d)\/(?=\d)/g, '$1&#47;');
}

/**
 * Half a character, as a cut leaves it: the UI could not put it into an address and would show nothing. And what would
 * act on the reader's screen.
 */
export function wellFormed(text: string): string {
  return printable(text.replace(/\p{Surrogate}/gu, '\uFFFD'));
}

/** Length of well-formed text once it is percent-encoded in an address. */
export function addressLength(text: string): number {
  return encodeURIComponent(wellFormed(text)).length;
}

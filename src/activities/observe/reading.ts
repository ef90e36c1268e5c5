/** Why nothing is known. */
export type Unknown =
  | 'not-configured'
  | 'unreachable'
  | 'refused'
  | 'no-data'
  | 'gaps'
  | 'not-a-number'
  | 'several'
  | 'old'
  | 'failed';

/** One value of a source, or why there is none. */
export type Reading =
  | {
      known: true;
      /** A number, a text, or a time as ISO text. */
      value: number | string;
      /** When it was so, in milliseconds; absent where the source does not say, and now is as good. */
      atMs?: number;
    }
  | {
      known: false;
      why: Unknown;
      detail: string;
      /** Asking again does not help: somebody has to mend something first. */
      lasting?: boolean;
    };

export function unknown(why: Unknown, detail: string, lasting?: boolean): Extract<Reading, { known: false }> {
  return { known: false, why, detail, ...(lasting === undefined ? {} : { lasting }) };
}

/** The finite number that a value is, also where it is written as text; undefined where it is none. */
export function numberOf(value: number | string): number | undefined {
  const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : undefined;
}

const FIRST_MS = 1e11;

/**
 * Milliseconds of a time: seconds or milliseconds since 1970, or a text with its time zone. Undefined where it is none: a
 * text without a zone means another time on another machine.
 */
export function timeOf(value: number | string): number | undefined {
  const number = numberOf(value);
  if (number !== undefined) return number < FIRST_MS ? number * 1_000 : number;
  const text = String(value).trim();
  if (!/(Z|[+-]\d{2}:?\d{2}|[+-]\d{2}|GMT|UTC)$/i.test(text)) return undefined;
  // PostgreSQL's own way of writing it.
  const iso = text.replace(/^(\d{4}-\d{2}-\d{2}) /, '$1T').replace(/([+-]\d{2})$/, '$1:00');
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? undefined : ms;
}

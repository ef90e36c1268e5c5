const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-]\d\d:?\d\d)?)?$/i;
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Normalises a time: ISO 8601 (without a zone: UTC, wherever this runs), or a Unix time in seconds, milliseconds,
 * microseconds or nanoseconds, told apart by its size. Null for what senders write when they have no time: zero, and
 * Go's year 1. Undefined when it is no time.
 */
export function isoTime(value: string | number): string | null | undefined {
  const ms = typeof value === 'number' ? unixMs(value) : textMs(value.trim());
  if (Number.isNaN(ms) || ms > LAST_MS) return undefined;
  return ms <= 0 ? null : new Date(ms).toISOString();
}

function unixMs(time: number): number {
  if (time < 1e11) return time * 1_000;
  if (time < 1e14) return time;
  return time < 1e17 ? time / 1e3 : time / 1e6;
}

function textMs(text: string): number {
  if (/^\d{1,19}(\.\d{1,9})?$/.test(text)) return unixMs(Number(text));
  const [, date, time = '00:00', zone = 'Z'] = ISO.exec(text) ?? [];
  if (date === undefined) return NaN;
  return Date.parse(`${date}T${time}${zone.replace(/^([+-]\d\d):?(\d\d)$/, '$1:$2').toUpperCase()}`);
}

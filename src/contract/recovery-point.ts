/** A day, or a time, that a recovery point names; in UTC, as everything is told, where it names no other zone. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?: ?(Z|UTC|[+-]\d\d:\d\d))?)?$/;

/** As an ISO time; undefined for what is none, e.g. the ID of a backup. Whatever else looks like a date is none. */
export function timeOf(text: string): string | undefined {
  const [, day, clock = '00:00', zone = 'Z'] = TIME.exec(text) ?? [];
  if (day === undefined) return undefined;
  const midnight = new Date(`${day}T00:00Z`);
  // The 31st of a month with 30 days would be the first of the next.
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== day) return undefined;
  const time = new Date(`${day}T${clock}${zone === 'UTC' ? 'Z' : zone}`);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

/** Of two proofs of one backup. */
export function laterOf(one: string | null, other: string | null): string | null {
  return one !== null && (other === null || one > other) ? one : other;
}

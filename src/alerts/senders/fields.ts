/**
 * The fields of senders' bodies. Unknown ones are let pass, because senders add some every year; what is needed is
 * checked. The text given as `error` is what was wanted.
 */
import { z } from 'zod';
import { BadAlert } from '../sender';
import { isoTime } from '../time';

/** More than any sender puts into one body; each may become a run. */
const MAX_ALERTS = 5_000;
const MAX_PROBLEMS = 3;

const scalar = z
  .union([z.string(), z.number(), z.boolean()], { error: 'a text' })
  .transform((value) => String(value));

/** A text that must be there; numbers and booleans are read as one. */
export const text = scalar.refine((value) => value.trim() !== '', { error: 'a text that is not empty' });
export const optionalText = scalar.nullish();
/** Labels and the like: texts by name. */
export const texts = z
  .record(z.string(), optionalText, { error: 'an object of texts' })
  .nullish()
  .transform((all) => all ?? {});

/** A time as `isoTime` reads it; null where there is none. */
export const time = z
  .union([z.string(), z.number()], { error: 'a time' })
  .nullish()
  .transform((value, context) => {
    const iso = value === undefined || value === null || value === '' ? null : isoTime(value);
    if (iso !== undefined) return iso;
    context.addIssue({ code: 'custom', message: 'an ISO or Unix time' });
    return z.NEVER;
  });

export const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.object(shape, { error: 'an object' });

export const list = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item, { error: 'an array' })
    .max(MAX_ALERTS, { error: `at most ${MAX_ALERTS} alerts in one delivery` });

export const oneOf = <const Words extends readonly [string, ...string[]]>(...words: Words) =>
  z.enum(words, { error: words.map((word) => `"${word}"`).join(' or ') });

/** Reads a body. Throws `BadAlert` naming the first fields that are wrong, with what came and what was wanted. */
export function read<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const problems = issues.slice(0, MAX_PROBLEMS).map(({ path, message }) => problem(path, body, message));
  const more = issues.length > MAX_PROBLEMS ? `; and ${issues.length - MAX_PROBLEMS} more` : '';
  throw new BadAlert(problems.join('; ') + more);
}

/** One sentence about a field that is wrong. */
export function problem(path: readonly PropertyKey[], body: unknown, wanted: string): string {
  const got = path.reduce<unknown>((value, key) => member(value, key), body);
  const name = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  // The names of fields come from outside as well.
  const shown = JSON.stringify(name.replace(/^\./, '').slice(0, 120)).slice(1, -1);
  return `${shown || 'body'}: got ${describe(got)}, wanted ${wanted}`;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 60) : value);
}

/** An own property of an object or array; undefined otherwise, also for what every object inherits. */
export function member(value: unknown, key: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<PropertyKey, unknown>)[key];
}

/** Labels from tags: `env:production` becomes a label, tags without a colon become the label `tags`. */
export function labelsOfTags(tags: readonly string[]): Record<string, string> {
  const pairs = tags.map((tag) => /^([^:\s]+):(.+)$/s.exec(tag.trim()));
  const plain = tags.filter((tag, at) => pairs[at] === null && tag.trim() !== '').map((tag) => tag.trim());
  const labels = pairs.flatMap((pair) => (pair === null ? [] : [[pair[1]!, pair[2]!] as const]));
  return { ...(plain.length > 0 && { tags: plain.join(',') }), ...Object.fromEntries(labels) };
}

/** Adds labels that somebody else names; they cannot take the place of ours. */
export function withOthers(
  ours: Record<string, string | null | undefined>,
  others: Record<string, string | null | undefined>,
): Record<string, string | null | undefined> {
  const said = Object.fromEntries(Object.entries(ours).filter(([, value]) => value));
  return { ...said, ...others, ...said };
}

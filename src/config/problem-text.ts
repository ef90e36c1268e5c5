import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { keysAt } from './schema-keys';

type Issue = z.core.$ZodIssue;

export interface Wording {
  /** The value that the schema refused. */
  value: unknown;
  schema: z.ZodType;
  /** Whose fields they are, for an unknown one: `migrateDatabase`. */
  owner?: string;
  /** Known fields that nobody is to write. */
  hidden?: readonly string[];
  /** Texts may be secrets, so only words that stand for a choice are repeated. */
  discreet?: boolean;
}

/** One problem for each thing that is wrong, with where it is: `files.0: got 7, wanted text`. */
export interface Problem {
  path: PropertyKey[];
  text: string;
}

/** What is wrong with a value, from the issues of its schema: got what, wanted what, and the nearest name of a misspelt one. */
export function problemsOf(issues: readonly Issue[], wording: Wording): Problem[] {
  return issues
    .filter(isFirstAtItsPath)
    .flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...issue.path, key], text: unknownField(key, issue, wording) }))
        : [{ path: issue.path, text: mismatch(issue, wording) }],
    );
}

/** A text that should be a list is measured all the same; that it is too short for one tells nobody anything. */
function isFirstAtItsPath(issue: Issue, _index: number, all: readonly Issue[]): boolean {
  const where = issue.path.join('.');
  const mistyped = all.find(({ code, path }) => code === 'invalid_type' && path.join('.') === where);
  return mistyped === undefined || mistyped === issue || issue.code === 'unrecognized_keys';
}

/** `files.0: got 7, wanted text`; `whole` names a value that is wrong as a whole. */
export function problemText({ path, text }: Problem, whole: string): string {
  return `${path.length === 0 ? whole : path.map(String).join('.')}: ${text}`;
}

/** `; did you mean "booking"?` where a known name is near enough, else nothing. */
export function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const lower = name.toLowerCase();
  const near = closest(
    lower,
    known.map((one) => one.toLowerCase()),
  );
  const found = known.find((one) => one.toLowerCase() === near);
  const allowed = Math.max(1, Math.floor(lower.length / 3));
  return found === undefined || distance(lower, near) > allowed ? '' : `; did you mean "${found}"?`;
}

/** `got "x", wanted one of: a, b; did you mean "a"?` */
export function notOneOf(got: string, known: readonly string[], none = 'none is configured'): string {
  return `got ${shown(got)}, wanted one of: ${known.join(', ') || none}${suggestion(got, known)}`;
}

function unknownField(key: string, { path }: Issue, { schema, owner, hidden = [] }: Wording): string {
  const known = keysAt(schema, path).filter((name) => !hidden.includes(name));
  const whose = owner === undefined ? 'that does not exist here' : `that ${owner} does not have`;
  return `got a field ${whose}, wanted one of: ${known.join(', ') || 'none'}${suggestion(key, known)}`;
}

function mismatch(issue: Issue, { value, discreet = false }: Wording): string {
  const got = issue.path.reduce<unknown>(
    (node, key) => (node as Record<PropertyKey, unknown> | null | undefined)?.[key],
    value,
  );
  const isChoice = issue.code === 'invalid_value' && issue.values.length > 1;
  if (isChoice && typeof got === 'string') return notOneOf(got, issue.values.map(String));
  const wanted = wantedBy(issue);
  // A rule about several fields says by itself what is wrong with them.
  if (got !== null && typeof got === 'object' && issue.code === 'custom') return wanted;
  return `got ${discreet ? kindOf(got) : shown(got)}, wanted ${wanted}`;
}

/** What was given, without a text in it. */
function kindOf(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'another text';
  if (Array.isArray(value)) return 'a list';
  return value !== null && typeof value === 'object' ? 'named fields' : shown(value);
}

const TYPES: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'named fields',
  record: 'named fields',
};

function wantedBy(issue: Issue): string {
  // A message of the schema's own says it best.
  if (!/^(Invalid|Too small|Too big|Unrecognized)\b/.test(issue.message))
    return issue.message.replace(/^expected /, '');
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.length === 1
        ? shown(issue.values[0])
        : `one of: ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${amount(issue.minimum, issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${amount(issue.maximum, issue.origin)}`;
    case 'invalid_format':
      return issue.format === 'regex' ? `text like ${String(issue.pattern)}` : `a valid ${issue.format}`;
    case 'invalid_union':
      return unionOf(issue);
    case 'invalid_key':
      return `another name: ${issue.issues.map(wantedBy).join(', ')}`;
    default:
      return issue.message.replace(/^Invalid (input|option): (expected )?/, '');
  }
}

function unionOf(issue: Issue & { code: 'invalid_union' }): string {
  const { options } = issue as { options?: unknown[] };
  if (options !== undefined) return `one of: ${options.map(String).join(', ')}`;
  const each = issue.errors.flatMap(([first]) => (first === undefined ? [] : [wantedBy(first)]));
  return [...new Set(each)].join(', or ') || 'something else';
}

function amount(limit: number | bigint, origin: string): string {
  const units: Record<string, string> = { string: 'character', array: 'item', set: 'item', file: 'byte' };
  const unit = units[origin];
  return unit === undefined ? String(limit) : `${limit} ${unit}${Number(limit) === 1 ? '' : 's'}`;
}

/** A value as it was given, at most 100 characters of it. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const json = JSON.stringify(value) ?? 'nothing';
  return json.length > 100 ? `${json.slice(0, 99)}…` : json;
}

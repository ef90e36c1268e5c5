/** The input of a route: values as written, with `{{labels.<name>}}` and other fields of the alert in them. */

const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g;
const WHOLE = /^\{\{\s*([^{}]*?)\s*\}\}$/;

/** What of a JSON Schema says which type a value should have. */
export interface Shape {
  type?: string;
  maxLength?: number;
  pattern?: string;
  properties?: Record<string, Shape>;
  items?: Shape;
}

/** The value of an alert's field; `type` is what the runbook wants there. */
export type Read = (field: string, type: string | undefined) => string | undefined;

type Path = (string | number)[];

/** The fields that a value names, with the path of each. */
export function placeholdersIn(value: unknown, path: Path = []): { path: Path; field: string }[] {
  if (typeof value === 'string')
    return [...value.matchAll(PLACEHOLDER)].map(([, field]) => ({ path, field: field ?? '' }));
  if (value === null || typeof value !== 'object') return [];
  return Array.isArray(value)
    ? value.flatMap((one, index) => placeholdersIn(one, [...path, index]))
    : Object.entries(value).flatMap(([key, one]) => placeholdersIn(one, [...path, key]));
}

/**
 * Fills placeholders once: what an alert says is a value, whatever it looks like. A text that is nothing but a
 * placeholder becomes a number or a boolean where the runbook wants one and the value is one. A text with a field that
 * the alert does not have is left out altogether: half a text could name something else. One that is too long is cut,
 * because an alert with many words is an alert all the same.
 */
export function fill(value: unknown, shape: Shape | undefined, read: Read): unknown {
  if (typeof value === 'string') return fillText(value, shape, read);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value))
    return value.map((one) => fill(one, shape?.items, read)).filter((one) => one !== undefined);
  const filled = Object.entries(value).map(
    ([key, one]) => [key, fill(one, shape?.properties?.[key], read)] as const,
  );
  return Object.fromEntries(filled.filter(([, one]) => one !== undefined));
}

function fillText(text: string, shape: Shape | undefined, read: Read): unknown {
  const [, whole] = WHOLE.exec(text) ?? [];
  if (whole !== undefined) {
    const value = read(whole, shape?.type);
    return value === undefined ? undefined : cut(asType(value, shape?.type), shape);
  }
  let missing = false;
  const filled = text.replace(PLACEHOLDER, (_, field: string) => {
    const value = read(field, undefined);
    missing ||= value === undefined;
    return value ?? '';
  });
  if (filled === text) return text;
  return missing ? undefined : cut(filled, shape);
}

/** The mark at its end keeps a cut text from being another name; what has a pattern is no prose. */
function cut(value: unknown, { maxLength = Infinity, pattern }: Shape = {}): unknown {
  if (typeof value !== 'string' || value.length <= maxLength || pattern !== undefined) return value;
  return `${value.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** As the command's flags are read; what does not fit stays text, and the runbook's schema names it. */
function asType(text: string, type: string | undefined): unknown {
  if (type === 'number' || type === 'integer') {
    const value = Number(text);
    return text.trim() === '' || Number.isNaN(value) ? text : value;
  }
  if (type === 'boolean') {
    if (['true', 'yes'].includes(text)) return true;
    if (['false', 'no'].includes(text)) return false;
  }
  return text;
}

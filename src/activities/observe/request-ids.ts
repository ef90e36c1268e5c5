import { scrub } from '../../config/secrets';

const FIELD = String.raw`(?:x-)?(?:request|req|correlation|trace)[_-]?id`;
const IS_FIELD = new RegExp(`^${FIELD}$`, 'i');
const IN_TEXT = new RegExp(String.raw`\b${FIELD}\\?["']?\s*[=:]\s*\\?["']?([\w.:-]{1,64})(?![\w@.:-])`, 'i');

/** Whether a field of that name has the ID of a request. */
export function isIdField(name: string): boolean {
  return IS_FIELD.test(name);
}

export function idInText(line: string): unknown {
  return IN_TEXT.exec(line)?.[1];
}

/** Of a line of JSON: a field of its own, or of its `req`, as pino has it. */
export function idInFields(json: Record<string, unknown>): unknown {
  const own = Object.entries(json).find(([name]) => isIdField(name))?.[1];
  return own ?? (json['req'] as { id?: unknown } | null | undefined)?.id;
}

export function requestOf(id: unknown): { requestId?: string } {
  const requestId = shownId(id);
  return requestId === undefined ? {} : { requestId };
}

/** A request may bring an ID of its own, so what looks like a secret, or like a person, is none. */
function shownId(id: unknown): string | undefined {
  const text = typeof id === 'number' ? String(id) : id;
  if (typeof text !== 'string' || !/^[\w.:-]{1,64}$/.test(text) || scrub(text) !== text) return undefined;
  return /^eyJ|^(?!req_)\w{0,8}_[A-Za-z0-9]{12,}/.test(text) ? undefined : text;
}

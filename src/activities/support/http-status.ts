import type { HttpAnswer } from './http';

/** One sentence about a status that is not 2xx: the host, what it said, what to do next. */
export function describeStatus(answer: HttpAnswer): string {
  const { host, status, redirectsTo } = answer;
  if (status === 401)
    return `${host} does not accept the credentials (401); correct them in the configuration.`;
  if (status === 403)
    return `${host} refuses access (403); give the configured credentials the right to read this.`;
  if (status === 404) return `${host} has nothing there (404); correct the address in the configuration.`;
  if (status === 409)
    return `${host} says that something stands in the way (409${saidBehind(answer)}); look there what it is, then start again.`;
  if (status === 429) return `${host} wants fewer requests (429)${patienceOf(answer)}.`;
  if (status >= 300 && status < 400)
    return `${host} redirects (${status})${redirectsTo === undefined ? '' : ` to ${redirectsTo}`}, which is not followed; put the final address into the configuration.`;
  if (status >= 500) return `${host} is in trouble: it ${said(answer)}. Look at it there.`;
  return `${host} ${said(answer)}; correct the request in the configuration.`;
}

/** `answered 503: down`: the status and the beginning of what came with it, in one line. */
export function said({
  status,
  text,
  contentType,
}: Pick<HttpAnswer, 'status' | 'text' | 'contentType'>): string {
  const words = contentType.includes('html') ? '' : text.replace(/\s+/g, ' ').trim().slice(0, 200);
  return words === '' ? `answered ${status}` : `answered ${status}: ${words}`;
}

function saidBehind(answer: HttpAnswer): string {
  const words = said(answer).slice(`answered ${answer.status}`.length);
  return words.replace(/^: /, ', ');
}

function patienceOf({ retryAfterMs: waitMs }: HttpAnswer): string {
  return waitMs === undefined
    ? '; ask it less often'
    : ` and to be left alone for ${Math.ceil(waitMs / 1_000)} s`;
}

/** Milliseconds of a Retry-After header: seconds, or a time. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const seconds = header.trim() === '' ? Number.NaN : Number(header);
  if (Number.isFinite(seconds)) return seconds < 0 ? undefined : seconds * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

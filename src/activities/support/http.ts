import { CancelledFailure } from '@temporalio/common';
import { request } from 'undici';
import { scrub } from '../../config/secrets';
import { fail } from './failure';
import { currentActivity } from './heartbeat';
import { describeStatus, retryAfterMs } from './http-status';
import type { Json } from './json';

export interface HttpRequest {
  /** With its secrets: it is never part of a message, only its host is. */
  url: string;
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is, in place of `json`. */
  content?: { type: string; text: string };
  /** For everything together: connecting, the answer and all of its body. */
  timeoutMs: number;
  /** Default 1,000,000. */
  maxBytes?: number;
  /** What a longer body is: an error, or as good as its beginning. Default `refuse`. */
  longer?: 'refuse' | 'cut';
  /** Default: the signal of the running activity. */
  signal?: AbortSignal;
}

export interface HttpAnswer {
  host: string;
  /** Scheme and host. */
  origin: string;
  status: number;
  /** Without parameters, lower case; empty where the server does not say. */
  contentType: string;
  /** Where a redirect leads: scheme and host, for people. */
  redirectsTo?: string;
  /** The header Location in full; its path may be a secret. */
  location?: string;
  /** How long the server wants to be left alone. */
  retryAfterMs?: number;
  /** The header Date: what the server's clock says, to the second. */
  date?: string;
  /** The header Link: where the next page is. */
  link?: string;
  text: string;
}

const MAX_BYTES = 1_000_000;

/**
 * Sends one request and reads its answer, whatever the status. Redirects are never followed: credentials would go along,
 * and a page to log in is no answer. Throws HttpFailed with the host in it: `could not be reached`, not in time (both
 * tried again), longer than `maxBytes`, no http(s) address; and the activity's CancelledFailure, also in mid-body.
 */
export async function ask(wanted: HttpRequest): Promise<HttpAnswer> {
  const { maxBytes = MAX_BYTES, longer = 'refuse', timeoutMs } = wanted;
  const url = urlOf(wanted.url);
  const cancelled = wanted.signal ?? currentActivity().signal;
  cancelled.throwIfAborted();
  const timer = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await request(url, {
      method: wanted.method ?? 'GET',
      headers: headersOf(wanted),
      ...bodyOf(wanted),
      signal: AbortSignal.any([cancelled, timer]),
    });
    const { text, complete } = await readUpTo(answer.body, maxBytes);
    if (!complete && longer === 'refuse')
      throw fail(
        'HttpFailed',
        `the answer of ${url.host} is longer than ${maxBytes} bytes; ask it for less.`,
      );
    const { host, origin } = url;
    return { host, origin, status: answer.statusCode, text, ...readHeaders(answer.headers, url) };
  } catch (error) {
    if (cancelled.aborted) throw cancelled.reason;
    if (isHttpFailure(error)) throw error;
    const why = timer.aborted ? ` within ${timeoutMs / 1_000} s` : `: ${reasonOf(error)}`;
    // It may have heard us.
    const details = timer.aborted ? { late: true } : undefined;
    throw fail('HttpFailed', `no answer from ${url.host}${why}`, { retryable: true, details });
  }
}

/**
 * The JSON of an endpoint. As `ask`, and throws HttpFailed for every status but 2xx (tried again after 408, 429 and 5xx,
 * after a 429 not before the server wants it), for a web page, and for what is no JSON.
 */
export async function askJson(wanted: HttpRequest): Promise<Json> {
  const answer = await ask({ ...wanted, headers: { accept: 'application/json', ...wanted.headers } });
  requireOk(answer);
  return jsonOf(answer);
}

/** Throws HttpFailed where the status is not 2xx, with what to do about it. */
export function requireOk(answer: HttpAnswer): void {
  if (isOk(answer)) return;
  const { status, retryAfterMs: waitMs } = answer;
  throw fail('HttpFailed', describeStatus(answer), {
    retryable: status >= 500 || status === 429 || status === 408,
    nextTryMs: waitMs,
    // The whole of it: a retry waits for a minute at most.
    details: { status, ...(waitMs === undefined ? {} : { waitMs }) },
  });
}

export function isOk({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

/** The body as JSON, whatever the status. Throws HttpFailed. */
export function jsonOf({ text, contentType, host, status }: HttpAnswer): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    const isPage = contentType.includes('html') || text.trimStart().startsWith('<');
    throw fail(
      'HttpFailed',
      isPage
        ? `${host} answered ${status} with a web page instead of JSON; correct the address, or the credentials where the page wants a login.`
        : `${host} answered ${status}, but no JSON; correct the address in the configuration.`,
    );
  }
}

/** For callers to whom a failed request is a fact: its sentence, without secrets. A cancellation is thrown on. */
export function problemOf(error: unknown): string {
  if (error instanceof CancelledFailure) throw error;
  return scrub(error instanceof Error ? error.message : String(error));
}

/** Whether no usable answer came, and not something else went wrong. */
export function isHttpFailure(error: unknown): boolean {
  return (error as { type?: string } | null)?.type === 'HttpFailed';
}

/** Whether no answer came in time: what was asked for may be done, or be under way. */
export function isLate(error: unknown): boolean {
  const { details } = (error ?? {}) as { details?: unknown[] };
  return isHttpFailure(error) && (details?.[0] as { late?: boolean } | undefined)?.late === true;
}

/** The host of an address, for messages: the rest of it may be a secret. */
export function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : 'an address that is no URL';
}

function urlOf(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw fail('HttpFailed', 'its address is no http(s) URL; correct it in the configuration.');
}

function bodyOf({ json, content }: HttpRequest): { body?: string } {
  if (content !== undefined) return { body: content.text };
  return json === undefined ? {} : { body: JSON.stringify(json) };
}

function headersOf({ headers = {}, json, content }: HttpRequest): Record<string, string> {
  const type = content?.type ?? (json === undefined ? undefined : 'application/json; charset=utf-8');
  return {
    // Some servers refuse requests that do not say who asks.
    'user-agent': 'durable-runbooks',
    ...(type === undefined ? {} : { 'content-type': type }),
    ...headers,
  };
}

type Headers = Record<string, string | string[] | undefined>;

function readHeaders(
  headers: Headers,
  url: URL,
): Pick<HttpAnswer, 'contentType' | 'redirectsTo' | 'location' | 'retryAfterMs' | 'date' | 'link'> {
  const one = (name: string) => [headers[name]].flat()[0];
  const location = one('location');
  const waitMs = retryAfterMs(one('retry-after'), Date.now());
  const date = one('date');
  const link = one('link');
  return {
    contentType: (one('content-type') ?? '').split(';')[0]!.trim().toLowerCase(),
    ...(location !== undefined && URL.canParse(location, url)
      ? { redirectsTo: new URL(location, url).origin, location: new URL(location, url).href }
      : {}),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    ...(date === undefined ? {} : { date }),
    ...(link === undefined ? {} : { link }),
  };
}

async function readUpTo(
  body: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<{ text: string; complete: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    parts.push(part);
    // Leaving the loop ends the connection: nothing more is read of it.
    if (size > maxBytes) break;
  }
  const whole = Buffer.concat(parts);
  return { text: whole.subarray(0, maxBytes).toString('utf8'), complete: size <= maxBytes };
}

/** An attempt at several addresses of one host has no message of its own. */
function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return message || code || 'the connection failed';
}

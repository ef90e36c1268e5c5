import { setTimeout as wait } from 'node:timers/promises';
import { request } from 'undici';

export interface PostOptions {
  headers?: Record<string, string>;
  signal: AbortSignal;
  /** `throttled`: only where the server says so (429); `lost`: also after 5xx and without an answer. */
  again?: 'throttled' | 'lost';
}

export interface Answer {
  status: number;
  text: string;
}

const TRY_MS = 5_000;
const MAX_TRIES = 3;
/** A sender that is asked to wait longer than this gives up: somebody waits for the message. */
const MAX_PATIENCE_MS = 10_000;
const PAUSES_MS = [1_000, 3_000];
const MAX_ANSWER = 256 * 1_024;

/**
 * Posts JSON and returns the answer, whatever its status. Throws when there is none, and when the server wants to be left
 * alone for more than 10 s. Messages name the host: the path may be a secret.
 */
export async function postJson(address: string, body: unknown, options: PostOptions): Promise<Answer> {
  const url = urlOf(address);
  for (let tries = 1; ; tries += 1) {
    const result = await attempt(url, body, options);
    const pauseMs = tries < MAX_TRIES ? pauseAfter(result, tries, url, options) : undefined;
    if (pauseMs !== undefined) await wait(pauseMs, undefined, { signal: options.signal });
    else if ('lost' in result) throw new Error(result.lost);
    else return { status: result.status, text: result.text };
  }
}

/** The beginning of an answer, for people. */
export function refusal({ status, text }: Answer): string {
  const words = text.replace(/\s+/g, ' ').trim().slice(0, 200);
  return words === '' ? `answered ${status}` : `answered ${status}: ${words}`;
}

type Attempt = { lost: string } | (Answer & { retryAfter?: string });

async function attempt(url: URL, body: unknown, { headers = {}, signal }: PostOptions): Promise<Attempt> {
  const timer = AbortSignal.timeout(TRY_MS);
  try {
    const answer = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, timer]),
    });
    const retryAfter = answer.headers['retry-after'];
    return {
      status: answer.statusCode,
      text: await beginningOf(answer.body),
      ...(typeof retryAfter === 'string' ? { retryAfter } : {}),
    };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const why = timer.aborted ? ` within ${TRY_MS / 1_000} s` : `: ${(error as Error).message}`;
    return { lost: `no answer from ${url.host}${why}` };
  }
}

/** Milliseconds to wait before the next try; undefined where another one makes no sense. */
function pauseAfter(
  result: Attempt,
  tries: number,
  url: URL,
  { again = 'throttled' }: PostOptions,
): number | undefined {
  const usual = PAUSES_MS[tries - 1] ?? 0;
  if ('lost' in result) return again === 'lost' ? usual : undefined;
  if (result.status >= 500) return again === 'lost' ? usual : undefined;
  if (result.status !== 429) return undefined;
  const seconds = Number(result.retryAfter);
  const askedMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : usual;
  if (askedMs > MAX_PATIENCE_MS)
    throw new Error(`${url.host} takes no message for another ${seconds} s (429, too many messages)`);
  return askedMs;
}

async function beginningOf(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part);
    size += part.length;
    if (size > MAX_ANSWER) break;
  }
  return Buffer.concat(parts).toString('utf8');
}

function urlOf(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw new Error('its address is no http(s) URL; correct it in the configuration');
}

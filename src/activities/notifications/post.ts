import { setTimeout as wait } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { ask, isHttpFailure, type HttpAnswer } from '../support/http';

export interface PostOptions {
  headers?: Record<string, string>;
  signal: AbortSignal;
  /** `throttled`: only where the server says so (429); `lost`: also after 5xx and without an answer. */
  again?: 'throttled' | 'lost';
}

const TRY_MS = 5_000;
const MAX_TRIES = 3;
/** A sender that is asked to wait longer than this gives up: somebody waits for the message. */
const MAX_PATIENCE_MS = 10_000;
const PAUSES_MS = [1_000, 3_000];
const MAX_ANSWER = 256 * 1_024;

/**
 * Posts JSON and returns the answer, whatever its status; of a long one its beginning. Throws HttpFailed when there is
 * none, and when the server wants to be left alone for more than 10 s. Messages name the host: the path may be a secret.
 */
export async function postJson(address: string, body: unknown, options: PostOptions): Promise<HttpAnswer> {
  for (let tries = 1; ; tries += 1) {
    const result = await attempt(address, body, options);
    const pauseMs = tries < MAX_TRIES ? pauseAfter(result, tries, options) : undefined;
    if (pauseMs !== undefined) await wait(pauseMs, undefined, { signal: options.signal });
    else if ('lost' in result) throw result.lost;
    else return result;
  }
}

type Attempt = { lost: Error } | HttpAnswer;

async function attempt(url: string, json: unknown, { headers, signal }: PostOptions): Promise<Attempt> {
  try {
    return await ask({
      url,
      method: 'POST',
      json,
      timeoutMs: TRY_MS,
      maxBytes: MAX_ANSWER,
      longer: 'cut',
      signal,
      ...(headers === undefined ? {} : { headers }),
    });
  } catch (error) {
    if (isHttpFailure(error) && error instanceof ApplicationFailure && error.nonRetryable !== true)
      return { lost: error };
    throw error;
  }
}

/** Milliseconds to wait before the next try; undefined where another one makes no sense. */
function pauseAfter(
  result: Attempt,
  tries: number,
  { again = 'throttled' }: PostOptions,
): number | undefined {
  const usual = PAUSES_MS[tries - 1] ?? 0;
  if ('lost' in result || result.status >= 500) return again === 'lost' ? usual : undefined;
  if (result.status !== 429) return undefined;
  const askedMs = result.retryAfterMs ?? usual;
  if (askedMs <= MAX_PATIENCE_MS) return askedMs;
  const seconds = Math.ceil(askedMs / 1_000);
  throw new Error(`${result.host} takes no message for another ${seconds} s (429, too many messages)`);
}

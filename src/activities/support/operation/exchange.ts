import { ApplicationFailure } from '@temporalio/common';
import type { RequestConfig } from '../../../config/http-operation-schema';
import { MissingSecret, resolveSecrets } from '../../../config/secrets';
import { fail } from '../failure';
import { currentActivity } from '../heartbeat';
import { ask, type HttpAnswer } from '../http';
import { authenticate } from './authenticate';
import { awaitEnd } from './poll';
import { fillRequest, type Parameter } from './request';

export interface OperationCall {
  /** For messages: what is done to what, e.g. `run expire-bookings of booking/production`. */
  action: string;
  parameters: Record<string, Parameter>;
  /** Of the configuration, for its secrets. */
  directory: string;
  /** Of an answer; what is longer is refused. Default: a million. */
  maxBytes?: number;
  /** Ends it early; the cancellation of the activity does so anyhow. */
  signal?: AbortSignal;
}

/**
 * Sends a configured request, follows what it only began, and hands the last answer on, whatever its status. What `judge`
 * throws, like everything that goes wrong before, names the action and no secret; `clean` takes those of this request out.
 */
export async function exchange<T>(
  config: RequestConfig,
  { action, parameters, directory, maxBytes, signal }: OperationCall,
  judge: (answer: HttpAnswer, clean: (text: string) => string) => T,
): Promise<T> {
  const secrets: string[] = [];
  const clean = (text: string): string => hide(text, secrets);
  const ended = AbortSignal.any([currentActivity().signal, ...(signal === undefined ? [] : [signal])]);
  try {
    const resolve = (text: string): string => resolveSecrets(text, directory);
    const { url, headers, content } = fillRequest(config, { parameters, resolve });
    const { method, auth, poll, timeoutMs } = config;
    const send = (to: URL, first: boolean): Promise<HttpAnswer> => {
      const as = first ? method : 'GET';
      const sent = first ? content : undefined;
      const proof = authenticate(auth, { method: as, url: to, body: sent?.text ?? '' }, resolve);
      secrets.push(...proof.secrets);
      return ask({
        url: to.href,
        method: as,
        headers: { accept: 'application/json', ...headers, ...proof.headers },
        ...(sent === undefined ? {} : { content: sent }),
        timeoutMs,
        ...(maxBytes === undefined ? {} : { maxBytes }),
        signal: ended,
      });
    };
    const first = await send(url, true);
    if (first.status !== 202 || poll === undefined) return judge(first, clean);
    return judge(await awaitEnd(poll, first, (address) => send(address, false), ended), clean);
  } catch (error) {
    throw renamed(error, action, clean);
  }
}

/** Says what was being done, and nothing that is secret. */
function renamed(error: unknown, action: string, clean: (text: string) => string): unknown {
  if (error instanceof MissingSecret) return fail('InvalidInput', `Could not ${action}: ${error.message}`);
  if (!(error instanceof ApplicationFailure)) return error;
  const waitMs = Number(error.nextRetryDelay);
  return fail(error.type ?? 'HttpFailed', clean(`Could not ${action}: ${error.message}`), {
    retryable: error.nonRetryable !== true,
    nextTryMs: waitMs > 0 ? waitMs : undefined,
    details: error.details?.[0],
  });
}

/** Also short ones, and as they stand in an address. */
function hide(text: string, secrets: string[]): string {
  return [...new Set(secrets.flatMap((one) => [one, encodeURIComponent(one)]))]
    .filter((one) => one !== '')
    .sort((a, b) => b.length - a.length)
    .reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}

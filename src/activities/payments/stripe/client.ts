import { ApplicationFailure } from '@temporalio/common';
import Stripe from 'stripe';
import { fetch, type RequestInit, type Response } from 'undici';
import { MissingSecret, resolveSecrets } from '../../../config/secrets';
import { targetOf, type Place } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { currentActivity } from '../../support/heartbeat';
import { hostOf, jsonOf, requireOk } from '../../support/http';
import { retryAfterMs } from '../../support/http-status';
import { stripeOf, type EnvironmentStripeConfig } from './settings';

/** What a session with Stripe works with. */
export interface Asking {
  stripe: Stripe;
  config: EnvironmentStripeConfig;
}

const TIMEOUT_MS = 20_000;

/**
 * Asks Stripe with the key of that environment. Throws InvalidInput, ModeMismatch (key of the other mode) and HttpFailed
 * with the status among its details: tried again after no answer, 429 (not before Stripe wants it) and 5xx.
 */
export async function askStripe<T>(
  deps: ActivityDeps,
  place: Place,
  action: string,
  ask: (asking: Asking) => Promise<T>,
): Promise<T> {
  const config = stripeOf(deps, place);
  const doing = `${action} of ${targetOf(place)}`;
  try {
    const key = resolveSecrets(config.key, deps.config.directory);
    refuseOtherMode(/^(?:sk|rk)_(live|test)_/.exec(key)?.[1], config, 'the key');
    return await ask({ stripe: clientFor(key, config.baseUrl), config });
  } catch (error) {
    currentActivity().signal.throwIfAborted();
    throw stripeFailure(error, doing, config);
  }
}

/** Throws ModeMismatch for what Stripe says belongs to the other mode. */
export function requireMode(of: { id: string; livemode: boolean }, config: EnvironmentStripeConfig): void {
  refuseOtherMode(of.livemode ? 'live' : 'test', config, of.id);
}

/** A key without that word is judged by what Stripe answers to it. */
function refuseOtherMode(
  mode: string | undefined,
  { livemode }: EnvironmentStripeConfig,
  what: string,
): void {
  const wanted = livemode ? 'live' : 'test';
  if (mode === undefined || mode === wanted) return;
  throw fail(
    'ModeMismatch',
    `${what} belongs to the ${mode} mode of Stripe, and stripe.livemode wants ${wanted}. Nothing was changed; correct stripe.key or stripe.livemode in the configuration.`,
  );
}

function clientFor(key: string, baseUrl: string): Stripe {
  const { protocol, hostname, port } = new URL(baseUrl);
  return new Stripe(key, {
    protocol: protocol === 'http:' ? 'http' : 'https',
    host: hostname,
    ...(port === '' ? {} : { port }),
    timeout: TIMEOUT_MS,
    // Temporal does that, and shows it.
    maxNetworkRetries: 0,
    telemetry: false,
    httpClient: Stripe.createFetchHttpClient(strictFetch as unknown as typeof globalThis.fetch),
  });
}

/**
 * Never follows a redirect with the key, ends with the activity, and says of a bad answer what the house says of any. Node's
 * own fetch would send through the dispatcher of undici, which is of another version and refuses its headers.
 */
async function strictFetch(input: string, init: RequestInit = {}): Promise<Response> {
  const signals = [currentActivity().signal, ...(init.signal ? [init.signal] : [])];
  const response = await fetch(input, { ...init, redirect: 'manual', signal: AbortSignal.any(signals) });
  const contentType = (response.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (response.ok && contentType.includes('json')) return response;
  const waitMs = retryAfterMs(response.headers.get('retry-after') ?? undefined, Date.now());
  const answer = {
    host: hostOf(input),
    origin: new URL(input).origin,
    status: response.status,
    contentType,
    text: messageIn((await response.text()).slice(0, 2_000)),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
  };
  requireOk(answer);
  jsonOf(answer);
  return response;
}

/** Stripe's own sentence, where there is one. */
function messageIn(text: string): string {
  try {
    return (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? text;
  } catch {
    return text;
  }
}

function stripeFailure(error: unknown, doing: string, { baseUrl }: EnvironmentStripeConfig): Error {
  const { detail } = (error ?? {}) as { detail?: unknown };
  const cause = detail instanceof ApplicationFailure ? detail : error;
  if (cause instanceof ApplicationFailure) {
    const waitMs = Number(cause.nextRetryDelay);
    return fail(cause.type ?? 'HttpFailed', `Could not ${doing}: ${cause.message}`, {
      retryable: cause.nonRetryable !== true,
      nextTryMs: waitMs > 0 ? waitMs : undefined,
      details: cause.details?.[0],
    });
  }
  if (error instanceof MissingSecret) return fail('InvalidInput', `Could not ${doing}: ${error.message}`);
  if (error instanceof Stripe.errors.StripeConnectionError) {
    const why = (detail as { cause?: { code?: string } } | undefined)?.cause?.code ?? error.message;
    return fail('HttpFailed', `Could not ${doing}: no answer from ${hostOf(baseUrl)}: ${why}`, {
      retryable: true,
    });
  }
  if (error instanceof Stripe.errors.StripeError)
    return fail('HttpFailed', `Could not ${doing}: ${error.message}`, {
      details: { status: error.statusCode },
    });
  return error instanceof Error ? error : new Error(String(error));
}

/** The status with which a request failed; undefined where something else went wrong. */
export function statusOf(error: unknown): number | undefined {
  const { type, details } = (error ?? {}) as { type?: string; details?: { status?: number }[] };
  return type === 'HttpFailed' ? details?.[0]?.status : undefined;
}

/** Why Stripe refuses a request, as the client throws it; undefined where that is no answer about this one alone, or none. */
export function refusalOf(error: unknown): string | undefined {
  const cause = (error as { detail?: unknown } | null)?.detail ?? error;
  const { type, message, nonRetryable } = (cause ?? {}) as Partial<ApplicationFailure>;
  return type === 'HttpFailed' && nonRetryable === true && statusOf(cause) !== undefined
    ? message
    : undefined;
}

import { targetOf, type Place } from '../../contract/place';
import { resolveSecrets, scrub } from '../../config/secrets';
import type { RequestConfig } from '../../config/http-operation-schema';
import { isHttpFailure, problemOf, type HttpAnswer } from '../support/http';
import { valueAt, type Json } from '../support/json';
import { exchange } from '../support/operation/exchange';
import { readWhole } from '../support/operation/perform';
import type { AuthConfig } from './settings';
import { claimProblem, parseToken, proveByKeys, proveBySecret } from './token';

export type AuthTopic =
  'provider' | 'callbacks' | 'credentials' | 'login' | 'limits' | 'clock' | 'token' | 'keys' | 'access';

/** `unknown`: nobody can tell, and `detail` says why. */
export interface AuthCheck {
  topic: AuthTopic;
  verdict: 'ok' | 'failed' | 'unknown';
  detail: string;
  /** A clear no (4xx), which no restart makes a yes. */
  refused?: true;
}

/** A clock against ours, at one moment: it is ahead by that much, give or take. */
export interface ClockReading {
  whose: string;
  aheadMs: number;
  giveOrTakeMs: number;
}

interface Asked {
  config: AuthConfig;
  place: Place;
  directory: string;
}

/** How the answer of a request is wrong, without a secret; `limited` where the server wants fewer. */
class Refused extends Error {
  constructor(
    message: string,
    readonly limited: boolean,
    readonly refused: boolean,
  ) {
    super(message);
  }
}

const check = (topic: AuthTopic, ok: boolean, detail: string): AuthCheck => ({
  topic,
  verdict: ok ? 'ok' : 'failed',
  detail: scrub(detail).slice(0, 500),
});
const unknown = (topic: AuthTopic, detail: string): AuthCheck => ({
  topic,
  verdict: 'unknown',
  detail: scrub(detail).slice(0, 500),
});

const refusal = (topic: AuthTopic, { message, limited, refused }: Refused): AuthCheck => ({
  ...check(limited ? 'limits' : topic, false, message),
  ...(refused && !limited ? { refused: true } : {}),
});

async function read<T>(
  { place, directory }: Asked,
  operation: RequestConfig,
  action: string,
  use: (json: Json, answer: HttpAnswer) => T,
  parameters: Record<string, string> = {},
): Promise<T> {
  const { service, environment } = place;
  const call = {
    action: `${action} of ${targetOf(place)}`,
    parameters: { service, environment, ...parameters },
    directory,
  };
  try {
    return await exchange(operation, call, (answer) => use(readWhole(operation, answer), answer));
  } catch (error) {
    if (!isHttpFailure(error)) throw error;
    const { status } = ((error as { details?: unknown[] }).details?.[0] ?? {}) as { status?: number };
    throw new Refused(
      problemOf(error),
      status === 429,
      status !== undefined && status >= 400 && status < 500,
    );
  }
}

/** The same, where that nothing can be read is a fact. */
async function judged(
  topics: AuthTopic[],
  body: () => Promise<AuthCheck[]>,
  otherwise: 'failed' | 'unknown',
): Promise<AuthCheck[]> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { message } = error;
    return topics.map((topic) => ({ ...unknown(topic, message), verdict: otherwise }));
  }
}

export function examineProvider(asked: Asked): Promise<AuthCheck[]> {
  const { provider } = asked.config;
  if (provider === undefined) return Promise.resolve([]);
  return judged(
    ['provider'],
    () =>
      read(asked, provider, 'read the status of the login provider', (json) => {
        const word = valueAt(json, provider.field);
        if (typeof word !== 'string')
          return [unknown('provider', `its status page has no text at "${provider.field}"`)];
        const ok = provider.healthy.some((one) => one.toLowerCase() === word.toLowerCase());
        return [check('provider', ok, `its status page says "${word.slice(0, 100)}"`)];
      }),
    'unknown',
  );
}

/** Names and addresses only, exactly as configured. */
export function examineConfiguration(asked: Asked): Promise<AuthCheck[]> {
  const { configuration, callbackUrls, credentials } = asked.config;
  if (configuration === undefined) return Promise.resolve([]);
  const topics = (['callbacks', 'credentials'] as const).filter((one) => configuration[one] !== undefined);
  return judged(
    topics,
    () =>
      read(asked, configuration, 'read the login configuration', (json) => [
        ...(configuration.callbacks === undefined
          ? []
          : [
              missingCheck(
                'callbacks',
                namesAt(json, configuration.callbacks),
                callbackUrls,
                configuration.callbacks,
              ),
            ]),
        ...(configuration.credentials === undefined
          ? []
          : [
              missingCheck(
                'credentials',
                namesAt(json, configuration.credentials),
                credentials,
                configuration.credentials,
              ),
            ]),
      ]),
    'unknown',
  );
}

function missingCheck(
  topic: 'callbacks' | 'credentials',
  found: string[] | undefined,
  wanted: string[],
  path: string,
): AuthCheck {
  if (found === undefined)
    return unknown(
      topic,
      `the answer has no list at "${path}"; correct authentication.configuration.${topic}`,
    );
  const missing = wanted.filter((one) => !found.includes(one));
  const what = topic === 'callbacks' ? 'not allowed' : 'not set';
  return check(
    topic,
    missing.length === 0,
    missing.length === 0 ? `all ${wanted.length} are there` : `${what}: ${missing.join(', ')}`,
  );
}

/** Values never leave this function, also where somebody's answer has them. */
function namesAt(json: Json, path: string): string[] | undefined {
  const found = valueAt(json, path);
  if (Array.isArray(found)) return found.filter((one) => typeof one === 'string');
  if (found === undefined || found === null || typeof found !== 'object') return undefined;
  return Object.entries(found).flatMap(([name, value]) =>
    value === true || (typeof value === 'string' && value !== '') ? [name] : [],
  );
}

/** A test login, and all that its token tells. The token itself stays here. */
export async function examineLogin(
  asked: Asked,
): Promise<{ checks: AuthCheck[]; clock: ClockReading | undefined }> {
  const { config } = asked;
  let clock: ClockReading | undefined;
  let token: Json | undefined;
  const from = Date.now();
  try {
    token = await read(asked, config.login, 'log the test account in', (json, { date, host }) => {
      clock = clockOf(date, host, from, Date.now());
      return valueAt(json, config.login.token);
    });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { checks: [refusal('login', error)], clock };
  }
  if (typeof token !== 'string' || token === '')
    return {
      checks: [
        check(
          'login',
          false,
          `the answer has no text at "${config.login.token}"; correct authentication.login.token, or look whether it says an error`,
        ),
      ],
      clock,
    };
  const text = token;
  const hidden = ({ detail, ...rest }: AuthCheck): AuthCheck => ({
    ...rest,
    detail: detail.replaceAll(text, '***'),
  });
  const checks = [
    check('login', true, 'the test account is logged in'),
    ...(config.token === 'jwt' ? await examineToken(asked, text) : []),
    ...(await examineAccess(asked, text)),
  ];
  return { checks: checks.map(hidden), clock };
}

function clockOf(date: string | undefined, host: string, from: number, to: number): ClockReading | undefined {
  const said = Date.parse(date ?? '');
  // Cut to the second: it is half a second later on average.
  return Number.isNaN(said)
    ? undefined
    : { whose: host, aheadMs: said + 500 - (from + to) / 2, giveOrTakeMs: (to - from) / 2 + 500 };
}

async function examineToken(asked: Asked, text: string): Promise<AuthCheck[]> {
  const { config, directory } = asked;
  const token = parseToken(text);
  if (token === undefined)
    return [
      check(
        'token',
        false,
        'what the login gives is no JWT; where that is meant so, say authentication.token: opaque',
      ),
    ];
  const { issuer, audience, maxSkewSeconds, jwks, secret } = config;
  const problem = claimProblem(token, {
    issuer,
    audience,
    skewMs: maxSkewSeconds * 1_000,
    nowMs: Date.now(),
  });
  const claims = check('token', problem === undefined, problem ?? 'a fresh token is valid by our clock');
  // With nothing but a secret to verify by, a token that is signed otherwise is verified by nobody.
  if (secret !== undefined && (jwks === undefined || token.algorithm.startsWith('HS'))) {
    const { ok, detail } = proveBySecret(token, resolveSecrets(secret, directory));
    return [claims, check('keys', ok, detail)];
  }
  if (jwks === undefined) return [claims];
  const keys = await judged(
    ['keys'],
    () =>
      read(asked, jwks, 'read the signing keys', (json) => {
        const list = valueAt(json, jwks.keys);
        if (!Array.isArray(list))
          return [
            check(
              'keys',
              false,
              `the answer has no list at "${jwks.keys}"; correct authentication.jwks.keys`,
            ),
          ];
        const { ok, detail } = proveByKeys(token, list, Date.now());
        return [check('keys', ok, detail)];
      }),
    'failed',
  );
  return [claims, ...keys];
}

/** Whether the application takes the token; 5xx and silence say nothing about it, and are no login either. */
async function examineAccess(asked: Asked, token: string): Promise<AuthCheck[]> {
  const { access } = asked.config;
  if (access === undefined) return [];
  try {
    await read(asked, access, 'use the token', () => undefined, { token });
    return [check('access', true, 'the application takes the token')];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return [refusal('access', error)];
  }
}

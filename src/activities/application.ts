import { request } from 'undici';
import { environmentOf } from '../config/load';
import { resolveSecrets, scrub } from '../config/secrets';
import type { ActivityDeps } from './deps';
import { fail } from './support/failure';
import type { Check } from './types';

export interface EnvironmentRef {
  service: string;
  environment: string;
}

export interface ErrorRate {
  ok: boolean;
  /** Share between 0 and 1, null where the application has none configured. */
  rate: number | null;
  detail: string;
  /** Where it lies; null where there is none. */
  band: 'objective' | 'info' | 'warning' | 'critical' | null;
  /** How far back it looks: that long after a cause is gone its errors still count. */
  windowMs: number;
}

/** Looks at the application in front of a database. Reads only, so a retry is safe. */
export function createApplicationActivities({ config }: ActivityDeps) {
  const applicationOf = ({ service, environment }: EnvironmentRef) =>
    environmentOf(config, service, environment).application;

  return {
    /** Asks every configured health endpoint. One that does not answer 2xx in time is a failed check, not an error. */
    async checkHealth(ref: EnvironmentRef): Promise<Check[]> {
      const endpoints = applicationOf(ref)?.health ?? [];
      return Promise.all(
        endpoints.map(({ name, url, timeoutMs }) =>
          checkEndpoint(name, resolveSecrets(url, config.directory), timeoutMs),
        ),
      );
    },

    /** Reads the application's own error rate. Throws CommandFailed when the answer has no such number. */
    async readErrorRate(ref: EnvironmentRef): Promise<ErrorRate> {
      const source = applicationOf(ref)?.errorRate;
      if (source === undefined)
        return { ok: true, rate: null, detail: 'no error rate configured', band: null, windowMs: 0 };
      const rate = await fetchNumber(resolveSecrets(source.url, config.directory), source.field);
      return {
        ok: rate <= source.max,
        rate,
        detail: `error rate ${percent(rate)}, objective ${percent(source.max)}`,
        band: bandOf(rate, source),
        windowMs: source.windowSeconds * 1_000,
      };
    },
  };
}

function bandOf(
  rate: number,
  { max, warning, critical }: { max: number; warning: number; critical: number },
): ErrorRate['band'] {
  if (rate <= max) return 'objective';
  if (rate > critical) return 'critical';
  return rate > warning ? 'warning' : 'info';
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

async function checkEndpoint(name: string, url: string, timeoutMs: number): Promise<Check> {
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(timeoutMs) });
    const text = (await body.text()).slice(0, 300);
    const ok = statusCode >= 200 && statusCode < 300;
    return { name, ok, detail: ok ? `answered ${statusCode}` : scrub(`answered ${statusCode}: ${text}`) };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: scrub(`no answer from ${new URL(url).host}: ${(error as Error).message}`),
    };
  }
}

async function fetchNumber(url: string, field: string): Promise<number> {
  const target = new URL(url).host;
  let answer: unknown;
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(10_000) });
    if (statusCode >= 300) throw new Error(`answered ${statusCode}`);
    answer = await body.json();
  } catch (error) {
    throw fail('CommandFailed', `could not read the error rate from ${target}: ${(error as Error).message}`, {
      retryable: true,
    });
  }
  const value = field
    .split('.')
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | null | undefined)?.[key], answer);
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw fail(
    'CommandFailed',
    `the answer of ${target} has no number at "${field}"; correct application.errorRate.field`,
  );
}

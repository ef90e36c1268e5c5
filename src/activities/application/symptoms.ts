import { environmentOf } from '../../config/load';
import { ERROR_RATE, errorRateBands } from '../../config/measure-schema';
import { resolveSecrets, scrub } from '../../config/secrets';
import { createObserveActivities, type Measured } from '../observe/measure';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { withProgress } from '../support/heartbeat';
import { ask, askJson, hostOf, isHttpFailure, isOk, problemOf } from '../support/http';
import { said } from '../support/http-status';
import { numberAt } from '../support/json';
import type { Check, Place } from '../../contract/place';
import { readStrains } from './strains';
import { percent } from '../../contract/text';

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

export interface ConfiguredChecks {
  health: number;
  errorRate: boolean;
  smoke: boolean;
  /** Absent in what was read before this was asked. */
  logs?: boolean;
}

/** What customers notice, at one moment. */
export interface Symptoms {
  /** The error rate is within its objective, every health check holds, and nothing comes late that is measured. */
  ok: boolean;
  /** Share between 0 and 1; 1 where the application gives no answer, null where no error rate is configured. */
  rate: number | null;
  /** False where the rate was asked for, and nothing answered. */
  rateKnown: boolean;
  band: ErrorRate['band'];
  windowMs: number;
  failing: Check[];
  /** Answers that come late and work that waits, as far as that is worse than information, or not known. */
  strains?: Measured[];
  /** Health checks that were made. */
  checks: number;
  detail: string;
}

const ERROR_RATE_TIMEOUT_MS = 10_000;
const MAX_HEALTH_BYTES = 1_000;

/** Looks at the application in front of a database. Reads only, so a retry is safe. */
export function createApplicationActivities(deps: ActivityDeps) {
  const { config } = deps;
  const applicationOf = ({ service, environment }: Place) =>
    environmentOf(config, service, environment).application;

  /** Asks every configured health endpoint. One that does not answer 2xx in time is a failed check, not an error. */
  async function checkHealth(ref: Place): Promise<Check[]> {
    const endpoints = applicationOf(ref)?.health ?? [];
    return Promise.all(
      endpoints.map(({ name, url, timeoutMs }) =>
        checkEndpoint(name, resolveSecrets(url, config.directory), timeoutMs),
      ),
    );
  }

  /**
   * Reads the application's own error rate, or else the measure of that name. Throws HttpFailed, CommandFailed when the
   * answer has no such number, and MeasureUnknown.
   */
  async function readErrorRate(ref: Place): Promise<ErrorRate> {
    const source = applicationOf(ref)?.errorRate;
    if (source === undefined) return measureErrorRate(ref);
    const rate = await fetchNumber(resolveSecrets(source.url, config.directory), source.field);
    return {
      ok: rate <= source.max,
      rate,
      detail: `error rate ${percent(rate)}, objective ${percent(source.max)}`,
      band: bandOf(rate, source),
      windowMs: source.windowSeconds * 1_000,
    };
  }

  async function measureErrorRate({ service, environment }: Place): Promise<ErrorRate> {
    const place = { service, environment };
    if (errorRateBands(environmentOf(config, service, environment)) === undefined)
      return { ok: true, rate: null, detail: 'no error rate configured', band: null, windowMs: 0 };
    const [measured] = await createObserveActivities(deps).measure({ ...place, names: [ERROR_RATE] });
    const { ok, value, band, windowMs, detail } = measured!;
    if (value === null) throw fail('MeasureUnknown', detail, { retryable: true });
    return { ok, rate: value, detail, band, windowMs };
  }

  return {
    checkHealth,
    readErrorRate,

    /** What looks at an environment at all: its health, its error rate, its smoke test, its log. */
    async listChecks({ service, environment }: Place): Promise<ConfiguredChecks> {
      const found = environmentOf(config, service, environment);
      const { application, smoke, observe } = found;
      return {
        health: application?.health.length ?? 0,
        errorRate: errorRateBands(found) !== undefined,
        smoke: smoke !== undefined,
        logs: observe?.logs !== undefined,
      };
    },

    /**
     * Health and error rate together. An application that gives no answer is a fact and no error: it serves nobody.
     * Late answers and waiting work are with them, where they are measured. Throws InvalidInput, CommandFailed when the
     * answer has no such number, and MeasureUnknown.
     */
    async readSymptoms(ref: Place): Promise<Symptoms> {
      const progress = { phase: 'health and error rate', done: 0, total: 0, unit: 'statements' as const };
      const [health, errorRate, { measured, strains }] = await withProgress(progress, () =>
        Promise.all([
          checkHealth(ref),
          readErrorRate(ref).catch((error: unknown) => silent(ref, error)),
          readStrains(deps, ref),
        ]),
      );
      const failing = health.filter(({ ok }) => !ok);
      const { rate, band } = errorRate;
      const windowMs = Math.max(errorRate.windowMs, ...measured.map((one) => one.windowMs));
      const rateKnown = !('silent' in errorRate);
      const named = failing.map(({ name, detail }) => `${name} ${briefly(detail)}`).join('; ');
      const sound =
        health.length === 0 ? 'no health check is configured' : `${health.length} health checks hold`;
      const late = measured.filter(({ ok }) => !ok).map((one) => `; ${one.detail}`);
      const detail = `${errorRate.detail}; ${failing.length === 0 ? sound : named}${late.join('')}`;
      return {
        ok: errorRate.ok && failing.length === 0 && strains.length === 0,
        rate,
        rateKnown,
        band,
        windowMs,
        failing,
        ...(measured.length === 0 ? {} : { strains }),
        checks: health.length,
        detail,
      };
    },
  };

  /** Only for an application that gave no usable answer; a mistake in the configuration stays an error. */
  function silent(ref: Place, error: unknown): ErrorRate & { silent: true } {
    if (!isHttpFailure(error)) throw error;
    const windowMs = (applicationOf(ref)?.errorRate?.windowSeconds ?? 0) * 1_000;
    return { ok: false, rate: 1, band: 'critical', windowMs, detail: (error as Error).message, silent: true };
  }
}

/** What an endpoint said is in the detailed health, in order; here it is enough that it failed. */
function briefly(detail: string): string {
  return /^answered \d+/.exec(detail)?.[0] ?? detail;
}

function bandOf(
  rate: number,
  { max, warning, critical }: { max: number; warning: number; critical: number },
): ErrorRate['band'] {
  if (rate <= max) return 'objective';
  if (rate > critical) return 'critical';
  return rate > warning ? 'warning' : 'info';
}

/** It answers 2xx in time. What it says beyond the first bytes is of no interest, however long it is. */
async function checkEndpoint(name: string, url: string, timeoutMs: number): Promise<Check> {
  try {
    const answer = await ask({ url, timeoutMs, maxBytes: MAX_HEALTH_BYTES, longer: 'cut' });
    const ok = isOk(answer);
    return { name, ok, detail: ok ? `answered ${answer.status}` : scrub(said(answer)) };
  } catch (error) {
    return { name, ok: false, detail: problemOf(error) };
  }
}

/** Throws HttpFailed where no answer can be used, and CommandFailed where it has no such number. */
async function fetchNumber(url: string, field: string): Promise<number> {
  const value = numberAt(await askJson({ url, timeoutMs: ERROR_RATE_TIMEOUT_MS }), field);
  if (value !== null) return value;
  throw fail(
    'CommandFailed',
    `the answer of ${hostOf(url)} has no number at "${field}"; correct application.errorRate.field`,
  );
}

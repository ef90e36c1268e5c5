import type { Check, Place } from '../../contract/place';
import type { ActivityDeps } from '../support/deps';
import { problemOf } from '../support/http';
import type { Measured } from '../observe/measure';
import { readStrains } from './strains';
import { createApplicationActivities, type ErrorRate } from './symptoms';

/** What was measured at the service itself. */
export interface Measurement {
  /** Everything that was measured holds, and something was measured: silence proves nothing. */
  ok: boolean;
  health: Check[];
  /** Share between 0 and 1, null where it is unknown. */
  errorRate: number | null;
  /** What else is measured that customers notice; absent where nothing is. */
  measures?: Measured[];
  /** One line for people. */
  detail: string;
}

/** Health and error rate as one fact. Reads only, so a retry is safe. */
export function createMeasureActivities(deps: ActivityDeps) {
  const { checkHealth, readErrorRate } = createApplicationActivities(deps);

  return {
    /** Health, error rate and what customers notice beside them, now. What cannot be read is a fact that does not hold, never an error. */
    async measureService(ref: Place): Promise<Measurement> {
      const [health, rate, { measured, strains }] = await Promise.all([
        checkHealth(ref),
        readErrorRate(ref).catch(problemOf),
        readStrains(deps, ref),
      ]);
      return describeMeasurement(health, rate, measured, strains);
    },
  };
}

/** `rate` is a text where it could not be read. */
function describeMeasurement(
  health: Check[],
  rate: ErrorRate | string,
  measured: Measured[],
  strains: Measured[],
): Measurement {
  const failing = health.filter(({ ok }) => !ok);
  const parts: string[] = [];
  if (health.length > 0)
    parts.push(
      failing.length === 0
        ? `health ${health.length} of ${health.length} well`
        : `health ${failing.length} of ${health.length} fail (${failing.map(({ name, detail }) => `${name}: ${brief(detail)}`).join('; ')})`,
    );
  const rateKnown = typeof rate !== 'string' && rate.rate !== null;
  if (typeof rate === 'string') parts.push(rate);
  else if (rateKnown) parts.push(rate.detail);
  parts.push(...measured.map(({ detail }) => brief(detail)));
  const anything = health.length > 0 || rateKnown || measured.some(({ value }) => value !== null);
  return {
    ok: anything && strains.length === 0 && failing.length === 0 && typeof rate !== 'string' && rate.ok,
    health,
    ...(measured.length === 0 ? {} : { measures: measured }),
    errorRate: typeof rate === 'string' ? null : rate.rate,
    detail: parts.length === 0 ? 'nothing is configured that could be measured' : parts.join(', '),
  };
}

/** It goes into every status update; what a check answered in full is among the findings. */
function brief(text: string): string {
  const [answered] = /^answered \d+/.exec(text) ?? [];
  if (answered !== undefined) return answered;
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}

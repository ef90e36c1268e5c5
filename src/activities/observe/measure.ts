import { environmentOf } from '../../config/load';
import type { MeasureConfig } from '../../config/measure-schema';
import { targetOf, type Place } from '../../contract/place';
import { bytes, duration, percent } from '../../contract/text';
import type { ActivityDeps } from '../support/deps';
import { withProgress } from '../support/heartbeat';
import { numberOf, unknown, type Reading, type Unknown } from './reading';
import { readSource } from './source';

export type Band = 'objective' | 'info' | 'warning' | 'critical';

/** A number with what it means, or why it is not known. */
export interface Measured {
  name: string;
  value: number | null;
  /** Null where the number is not known. */
  band: Band | null;
  /** Known, and within its objective: what is not known never holds. */
  ok: boolean;
  /** Absent where the number is known. */
  unknown?: Unknown;
  /** How far back it looks. */
  windowMs: number;
  detail: string;
}

/** The eyes on a service. Reads only, so a retry is safe. */
export function createObserveActivities(deps: ActivityDeps) {
  return {
    /**
     * Measures an environment: what is configured under `observe.measures`, or only what is named; a name that is not
     * configured is unknown, and so does not hold. Throws UnknownName.
     */
    async measure({ names, ...place }: Place & { names?: string[] }): Promise<Measured[]> {
      const { observe } = environmentOf(deps.config, place.service, place.environment);
      const measures: Partial<Record<string, MeasureConfig>> = observe?.measures ?? {};
      const wanted = names ?? Object.keys(measures);
      const progress = {
        phase: `measure ${wanted.join(', ')}`,
        done: 0,
        total: 0,
        unit: 'statements' as const,
      };
      return withProgress(progress, () =>
        Promise.all(wanted.map((name) => measureOne(deps, place, name, measures[name]))),
      );
    },
  };
}

async function measureOne(
  deps: ActivityDeps,
  place: Place,
  name: string,
  config: MeasureConfig | undefined,
): Promise<Measured> {
  if (config === undefined)
    return describe(name, unknown('not-configured', `observe.measures.${name} is not configured`));
  const action = `measure ${name} of ${targetOf(place)}`;
  return describe(name, toNumber(await readSource(deps, place, config, { action })), config);
}

function toNumber(reading: Reading): Reading {
  if (!reading.known) return reading;
  const value = numberOf(reading.value);
  return value === undefined
    ? unknown('not-a-number', `got "${String(reading.value).slice(0, 100)}", wanted a number`)
    : { ...reading, value };
}

function describe(name: string, reading: Reading, config?: MeasureConfig): Measured {
  const windowMs = windowOf(config) * 1_000;
  if (!reading.known || config === undefined) {
    const { why, detail } = reading.known ? unknown('not-configured', name) : reading;
    const said = `${name} is not known: ${detail}`;
    return { name, value: null, band: null, ok: false, unknown: why, windowMs, detail: said };
  }
  const value = Number(reading.value);
  const band = bandOf(value, config);
  const detail = `${name} ${shown(value, config)}, wanted ${objectiveOf(config)}${band === 'objective' ? '' : ` (${band})`}`;
  return { name, value, band, ok: band === 'objective', windowMs, detail };
}

/** Seconds. A range reaches back at least as far as it is asked for. */
function windowOf(config?: MeasureConfig): number {
  return Math.max(config?.windowSeconds ?? 0, (config?.prometheus?.over?.minutes ?? 0) * 60);
}

/** The band in which a number lies; one on the border is still in the better one. */
export function bandOf(value: number, config: Pick<MeasureConfig, Exclude<Band, 'objective'> | 'is'>): Band {
  const isBeyond = (limit: number | undefined): boolean =>
    limit !== undefined && (config.is === 'below' ? value < limit : value > limit);
  if (isBeyond(config.critical)) return 'critical';
  if (isBeyond(config.warning)) return 'warning';
  return isBeyond(config.info) ? 'info' : 'objective';
}

/** Where the objective ends: the mildest band that there is. */
export function limitOf({
  info,
  warning,
  critical,
}: Pick<MeasureConfig, Exclude<Band, 'objective'>>): number {
  return info ?? warning ?? critical ?? Number.NaN;
}

/** `at most 200 ms`. */
export function objectiveOf(config: MeasureConfig): string {
  return `${config.is === 'below' ? 'at least' : 'at most'} ${shown(limitOf(config), config)}`;
}

function shown(value: number, { unit, prometheus }: MeasureConfig): string {
  const each = prometheus?.over?.take === 'slope' ? ' an hour' : '';
  const sign = value < 0 ? '-' : '';
  const size = Math.abs(value);
  switch (unit) {
    case 'share':
      return `${percent(value)}${each}`;
    case 'seconds':
      return `${sign}${duration(size * 1_000)}${each}`;
    case 'bytes':
      return `${sign}${bytes(Math.round(size))}${each}`;
    default:
      return `${Number(value.toPrecision(4))}${each}`;
  }
}

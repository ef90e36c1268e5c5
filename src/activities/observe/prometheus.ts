import { operationSchema } from '../../config/http-operation-schema';
import type { PrometheusQuery, PrometheusServer } from '../../config/source-schema';
import { duration } from '../../contract/text';
import { isHttpFailure, isOk, jsonOf, problemOf, requireOk } from '../support/http';
import { exchange } from '../support/operation/exchange';
import { valueAt, type Json } from '../support/json';
import { unknown, type Reading } from './reading';
import { numberOfPoints } from './points';

/** `[seconds, text]`, as the API has it. https://prometheus.io/docs/prometheus/latest/querying/api/ */
type Sample = [number, string];

interface Series {
  metric: Record<string, string>;
  value?: Sample;
  values?: Sample[];
}

export interface Asking {
  server: PrometheusServer;
  maxAgeSeconds: number;
  directory: string;
}

/** One number of Prometheus. Whatever is not exactly one series with a recent number is unknown, and says why. */
export async function readPrometheus(query: PrometheusQuery, asking: Asking): Promise<Reading> {
  try {
    return query.over === undefined ? await readNow(query, asking) : await readRange(query, asking);
  } catch (error) {
    if (error instanceof Refused) return unknown('refused', error.message);
    const detail = problemOf(error);
    return unknown(isHttpFailure(error) ? 'unreachable' : 'failed', detail);
  }
}

/** Prometheus answered, and says no. */
class Refused extends Error {}

async function readNow({ query, fresh }: PrometheusQuery, asking: Asking): Promise<Reading> {
  const [series, old] = await Promise.all([
    select('vector', { query, ...lookBack(asking.maxAgeSeconds) }, asking),
    isOld(query, fresh, asking),
  ]);
  if (series.length === 0) {
    const older = await select('vector', { query, ...lookBack(FAR_BACK_SECONDS) }, asking);
    return older.length > 0 ? tooOld(asking) : noData(query);
  }
  if (series.length > 1) return several(series);
  if (old) return tooOld(asking, fresh);
  const [seconds, text] = series[0]!.value!;
  const value = numberIn(text);
  return value === undefined ? notANumber(text) : { known: true, value, atMs: seconds * 1_000 };
}

async function readRange({ query, fresh, over }: PrometheusQuery, asking: Asking): Promise<Reading> {
  const { minutes, stepSeconds, ...how } = over!;
  const end = Date.now() / 1_000;
  const times = {
    start: (end - minutes * 60).toFixed(3),
    end: end.toFixed(3),
    step: String(stepSeconds),
  };
  const [series, old] = await Promise.all([
    select('matrix', { query, ...times, ...lookBack(asking.maxAgeSeconds) }, asking),
    isOld(query, fresh, asking),
  ]);
  const span = duration(minutes * 60_000);
  if (series.length === 0) return noData(query, ` in the last ${span}`);
  if (series.length > 1) return several(series);
  const samples = series[0]!.values!;
  const points = samples.flatMap(([seconds, text]) => {
    const value = numberIn(text);
    return value === undefined ? [] : [{ seconds, value }];
  });
  if (points.length === 0) return notANumber(samples[0]![1]);
  const expected = Math.floor((minutes * 60) / stepSeconds) + 1;
  if (points.length < Math.max(2, expected / 2))
    return unknown(
      'gaps',
      `only ${points.length} of ${expected} points of the last ${span} are numbers, which says nothing`,
    );
  const newest = points.at(-1)!.seconds;
  if (old) return tooOld(asking, fresh);
  if (end - newest > asking.maxAgeSeconds + stepSeconds) return tooOld(asking);
  return { known: true, value: numberOfPoints(points, how), atMs: newest * 1_000 };
}

const FAR_BACK_SECONDS = 3_600;

/** Else Prometheus takes a sample of five minutes ago for the present one. Servers before 2.43 know no such parameter. */
function lookBack(seconds: number): Record<string, string> {
  return { lookback_delta: `${seconds}s` };
}

/**
 * Known of a plain selector only, whatever the server: anything that is computed is as young as its computation. One that is
 * named as fresh must show a sample: a series that has ended shows none.
 */
async function isOld(query: string, fresh: string | undefined, asking: Asking): Promise<boolean> {
  const age = `time() - max(timestamp((${fresh ?? query})))`;
  const far = fresh === undefined ? {} : lookBack(asking.maxAgeSeconds);
  const found = await select('vector', { query: age, ...far }, asking).catch((error: unknown) => {
    // A number that is no vector has no time; what else is wrong, the query itself will say.
    if (error instanceof Refused && fresh === undefined) return [];
    throw error;
  });
  if (fresh !== undefined && found.length === 0) return true;
  return found.some(({ value }) => Number(value![1]) > asking.maxAgeSeconds);
}

function tooOld({ maxAgeSeconds }: Asking, fresh?: string): Reading {
  const newest = fresh === undefined ? 'the newest sample' : `the newest sample of ${briefly(fresh)}`;
  const none = fresh === undefined ? '' : ', or there is none';
  const limit = duration(maxAgeSeconds * 1_000);
  return unknown('old', `${newest} in Prometheus is older than ${limit}${none}`);
}

function noData(query: string, when = ''): Reading {
  return unknown('no-data', `Prometheus has no series for it${when}: ${briefly(query)}`);
}

/** Throws Refused for what Prometheus itself says, and HttpFailed. */
async function select(
  wanted: 'vector' | 'matrix',
  parameters: Record<string, string>,
  { server, directory }: Asking,
): Promise<Series[]> {
  const { url, auth, headers, timeoutMs } = server;
  // As parameters, because PromQL has braces of its own.
  const named = Object.entries(parameters).map(([name, value], index) => ({ name, key: `p${index}`, value }));
  const operation = operationSchema(named.map(({ key }) => key)).parse({
    url: `${url.replace(/\/+$/, '')}/api/v1/${wanted === 'vector' ? 'query' : 'query_range'}`,
    query: Object.fromEntries(named.map(({ name, key }) => [name, `{${key}}`])),
    headers,
    timeoutMs,
    ...(auth === undefined ? {} : { auth }),
  });
  const filling = Object.fromEntries(named.map(({ key, value }) => [key, value]));
  const call = { action: 'ask Prometheus', parameters: filling, directory };
  return exchange(operation, call, (answer, clean) => {
    const said = isOk(answer) || answer.contentType.includes('json') ? jsonOf(answer) : null;
    const text = (field: string): string => clean(textOf(valueAt(said, field)));
    if (valueAt(said, 'status') === 'error')
      throw new Refused(`Prometheus refuses the query (${text('errorType')}): ${text('error')}`);
    requireOk(answer);
    const [warning] = (valueAt(said, 'warnings') ?? []) as Json[];
    if (warning !== undefined) throw new Refused(`Prometheus warns: ${clean(textOf(warning))}`);
    return seriesOf(said, wanted);
  });
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value.slice(0, 300) : 'it does not say why';
}

function seriesOf(said: Json, wanted: 'vector' | 'matrix'): Series[] {
  const type = valueAt(said, 'data.resultType');
  const result = valueAt(said, 'data.result');
  if (type === 'scalar') return [{ metric: {}, value: result as unknown as Sample }];
  if (type !== wanted || !Array.isArray(result))
    throw new Refused(`the query makes no numbers (${typeof type === 'string' ? type : 'another shape'})`);
  const series = result as unknown as Series[];
  if (series.every(({ value, values }) => value !== undefined || values !== undefined)) return series;
  throw new Refused('the query makes histograms; make a number of them, e.g. with histogram_quantile()');
}

/** As Prometheus writes it: also NaN, +Inf and -Inf, which are no numbers to judge by. */
function numberIn(text: string): number | undefined {
  const value = Number(text);
  return text !== '' && Number.isFinite(value) ? value : undefined;
}

function notANumber(text: string): Reading {
  const cause = text === 'NaN' ? ', which a division by zero makes: nothing happened at all' : '';
  return unknown('not-a-number', `Prometheus says ${text}${cause}`);
}

const SHOWN = 3;

function several(series: Series[]): Reading {
  const shown = series.slice(0, SHOWN).map(({ metric }) => JSON.stringify(metric).slice(0, 100));
  const more = series.length > SHOWN ? ' ...' : '';
  return unknown(
    'several',
    `${series.length} series where one was expected: ${shown.join(' ')}${more}; let the query make one of them, e.g. with sum() or max()`,
  );
}

function briefly(query: string): string {
  const line = query.replace(/\s+/g, ' ').trim();
  return line.length <= 120 ? line : `${line.slice(0, 119)}…`;
}

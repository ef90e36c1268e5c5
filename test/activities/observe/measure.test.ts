import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { createObserveActivities } from '../../../src/activities/observe/measure';
import { timeOf } from '../../../src/activities/observe/reading';
import { observeSchema } from '../../../src/config/measure-schema';
import { serve } from '../../support/local-server';
import { missingMonitoring, startPrometheus } from '../../support/monitoring';
import { runActivity, startTestPostgres, type TestDatabase } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';

type Given = z.input<typeof observeSchema>;

const missing = missingMonitoring();
if (missing.length > 0)
  process.stderr.write(
    `skipped: ${missing.join(' and ')} not found; apt-get install prometheus prometheus-alertmanager\n`,
  );
const describeReal = missing.length > 0 ? describe.skip : describe;

let reply: (url: URL) => { status?: number; body: string } = () => ({ body: '{}' });
/** What Prometheus scrapes. */
let exported = '';
const server = duringTests(() =>
  serve((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (url.pathname === '/metrics') return response.setHeader('content-type', 'text/plain').end(exported);
    const { status = 200, body } = reply(url);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }),
);
const pg = duringTests(startTestPostgres);
let db: TestDatabase;
beforeAll(async () => {
  db = await pg.fresh();
});

const measureAll = async (observe: Given, names?: string[]) => {
  const { production } = db.deps.config.services['shop']!.environments;
  production!.observe = observeSchema.parse(observe);
  const { measure } = createObserveActivities(db.deps);
  return runActivity(measure, { ...db.place, ...(names === undefined ? {} : { names }) });
};
const measure = async (one: NonNullable<Given['measures']>[string], more: Partial<Given> = {}) =>
  (await measureAll({ ...more, measures: { depth: { warning: 10, ...one } } }))[0]!;
const sql = (text: string) => measure({ sql: text });

describe('bands', () => {
  it.each([
    ['error-rate', 0.01, 'objective'],
    ['error-rate', 0.011, 'info'],
    ['error-rate', 0.051, 'warning'],
    ['error-rate', 0.11, 'critical'],
    ['latency-p95', 0.6, 'warning'],
    ['latency-p95', 2.1, 'critical'],
    ['latency-p99', 0.41, 'info'],
    ['pool-utilisation', 0.81, 'warning'],
    ['cpu-utilisation', 0.81, 'warning'],
    ['cache-hit-rate', 0.69, 'warning'],
    ['cache-hit-rate', 0.7, 'objective'],
    ['queue-delay', 31, 'warning'],
    ['queue-failed-share', 0.0051, 'warning'],
    ['search-lag', 121, 'warning'],
  ])('%s has usual ones: %d is %s', async (name, value, band) => {
    const [found] = await measureAll({ measures: { [name]: { sql: `SELECT ${value}` } } });
    expect(found).toMatchObject({ name, value, band, ok: band === 'objective' });
  });

  it('of the configuration go before, and the words say what was wanted', async () => {
    const found = await measureAll({
      measures: {
        'latency-p95': { sql: 'SELECT 0.3', info: 0.5 },
        free: { sql: 'SELECT 5000000', is: 'below', warning: 2e7, critical: 1e6, unit: 'bytes' },
      },
    });
    expect(found.map(({ detail }) => detail)).toEqual([
      'latency-p95 300 ms, wanted at most 500 ms',
      'free 5.0 MB, wanted at least 20 MB (warning)',
    ]);
  });
});

describe('a statement', () => {
  it('gives its one number, also one that the driver writes as text', async () => {
    expect(await sql('SELECT count(*) FROM generate_series(1, 11)')).toMatchObject({
      value: 11,
      band: 'warning',
    });
  });

  it.each([
    ['SELECT 1 WHERE false', 'no-data', /returns no row/],
    ['SELECT NULL::int AS depth', 'no-data', /depth has no value/],
    ['SELECT generate_series(1, 2)', 'several', /2 rows instead of one/],
    ['SELECT 1 AS a, 2 AS b', 'several', /the columns a, b/],
    [`SELECT 'many'`, 'not-a-number', /got "many", wanted a number/],
    [`SELECT 'NaN'::float8`, 'not-a-number', /wanted a number/],
    [`SELECT 1, now() - interval '1 hour' AS at`, 'old', /is 1 h 0 min old, older than 5 min/],
    [
      `SELECT 1, now() + interval '1 hour' AS at`,
      'old',
      /is of a time to come, 20.*: nobody knows how old it is/,
    ],
    ['SELECT nothing', 'failed', /Could not measure depth of shop\/production .*nothing/s],
    ['CREATE TABLE x ()', 'failed', /read-only transaction/],
    ['SELECT 1; SELECT 2', 'failed', /multiple commands/],
  ])('%s: unknown, and so it does not hold', async (text, why, detail) => {
    const found = await sql(text);
    expect(found).toMatchObject({ value: null, band: null, ok: false, unknown: why });
    expect(found.detail).toMatch(detail);
  });
});

describe('an endpoint and a command', () => {
  const operation = { url: '', field: 'queues.depth', at: 'asOf' };

  it('give their number', async () => {
    reply = (url) => ({ body: JSON.stringify({ queues: { depth: url.searchParams.get('of')?.length } }) });
    const request = { url: `${server.url}/stats`, query: { of: '{service}' }, field: 'queues.depth' };
    expect(await measure({ operation: request })).toMatchObject({ value: 4, ok: true });
    const command = { run: ['sh', '-c', 'echo wait; echo "1$RUNBOOKS_ENVIRONMENT" | tr -dc 0-9'] };
    expect(await measure({ command })).toMatchObject({ value: 1, ok: true });
  });

  it('are unknown where they say nothing of use', async () => {
    const asked = { ...operation, url: `${server.url}/stats` };
    reply = () => ({ body: JSON.stringify({ queues: { depth: 3 }, asOf: Date.now() / 1_000 - 900 }) });
    expect(await measure({ operation: asked })).toMatchObject({ unknown: 'old', ok: false });
    reply = () => ({ status: 503, body: '{}' });
    expect(await measure({ operation: asked })).toMatchObject({ unknown: 'unreachable', ok: false });
    reply = () => ({ body: '{"queues":{}}' });
    expect(await measure({ operation: asked })).toMatchObject({ unknown: 'unreachable', ok: false });
    const failing = { run: ['sh', '-c', 'echo no >&2; exit 3'] };
    expect(await measure({ command: failing })).toMatchObject({ unknown: 'failed', ok: false });
    expect(await measure({ command: { run: ['true'] } })).toMatchObject({ unknown: 'no-data', ok: false });
  });

  it('that nobody configured are unknown as well', async () => {
    expect(await measureAll({ measures: {} }, ['queue-delay'])).toMatchObject([
      { name: 'queue-delay', ok: false, unknown: 'not-configured' },
    ]);
  });
});

describeReal('Prometheus', () => {
  const directory = mkdtempSync(join(tmpdir(), 'dr-observe-'));
  const prometheus = duringTests(() =>
    startPrometheus({
      directory,
      scrape: { shop: server.url },
      rules: [],
      alertmanager: 'http://127.0.0.1:1',
    }),
  );
  afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  const ask = (query: string, more: object = {}) =>
    measure(
      { prometheus: { query }, ...more },
      { prometheus: { url: `${prometheus.url}/`, timeoutMs: 5_000 } },
    );
  const until = async (query: string, holds: (count: number) => boolean) => {
    for (let tries = 0; tries < 300; tries += 1) {
      if (holds((await prometheus.query(query)).length)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${query} never got there`);
  };
  let started: number;
  beforeAll(async () => {
    const buckets = [0.1, 0.5, 1, '+Inf'].map(
      (le, index) => `t_bucket{le="${le}"} ${[50, 90, 100, 100][index]}`,
    );
    started = Date.now();
    exported = `depth 3\nwide{queue="a"} 1\nwide{queue="b"} 2\nzero 0\n${buckets.join('\n')}\n`;
    await until('depth', (count) => count === 1);
  });

  it('gives the number of one series, and quantiles of a histogram', async () => {
    expect(await ask('depth')).toMatchObject({ value: 3, ok: true });
    expect(await ask('sum(wide)')).toMatchObject({ value: 3 });
    expect(await ask('scalar(depth) * 5')).toMatchObject({ value: 15, band: 'warning' });
    expect(await ask('histogram_quantile(0.95, t_bucket)')).toMatchObject({ value: 0.75 });
  });

  it.each([
    ['nothing_of_that_name', 'no-data', /has no series for it: nothing_of_that_name/],
    ['wide', 'several', /2 series where one was expected: .*"queue":"a".*sum\(\) or max\(\)/],
    ['zero / zero', 'not-a-number', /says NaN, which a division by zero makes/],
    ['depth / zero', 'not-a-number', /says \+Inf/],
    ['depth{', 'refused', /refuses the query \(bad_data\)/],
    ['depth[1m]', 'refused', /range|matrix/],
    ['"text"', 'refused', /makes no numbers \(string\)/],
  ])('%s: unknown, in words of its own', async (query, why, detail) => {
    const found = await ask(query);
    expect(found).toMatchObject({ value: null, band: null, ok: false, unknown: why });
    expect(found.detail).toMatch(detail);
  });

  it('that cannot be reached is unknown', async () => {
    const gone = { prometheus: { url: 'http://127.0.0.1:1' } };
    const found = await measure({ prometheus: { query: 'depth' } }, gone);
    expect(found).toMatchObject({ ok: false, unknown: 'unreachable' });
    expect(found.detail).toContain(
      'depth is not known: Could not ask Prometheus: no answer from 127.0.0.1:1',
    );
    const notIt = await measure({ prometheus: { query: 'depth' } }, { prometheus: { url: server.url } });
    expect(notIt).toMatchObject({ ok: false });
  });

  it('takes a number out of a range: its slope, its mean, its quantiles', async () => {
    exported = exported.replace(/^depth .*\n/, '');
    const rise = () => {
      exported = exported.replace(/^rising .*\n/m, '') + `rising ${(Date.now() - started) / 1_000}\n`;
    };
    const timer = setInterval(rise, 50);
    try {
      await until('count_over_time(rising[1m]) >= 6', (count) => count === 1);
    } finally {
      clearInterval(timer);
    }
    const minutes = (Date.now() - started) / 60_000;
    const over = { minutes: Math.min(minutes, 0.06), stepSeconds: 1 };
    const take = (how: object) =>
      measure(
        { prometheus: { query: 'rising', over: { ...over, ...how } as never } },
        { prometheus: { url: prometheus.url } },
      );
    const slope = await take({ take: 'slope' });
    // One a second.
    expect(slope.value).toBeGreaterThan(3_000);
    expect(slope.value).toBeLessThan(4_200);
    expect(slope.detail).toMatch(/^depth 3\d+|4\d+ an hour/);
    const [low, middle, high] = await Promise.all(
      [{ take: 'min' }, { take: 'mean' }, { take: 'max' }].map(take),
    );
    expect(low!.value).toBeLessThan(middle!.value!);
    expect(middle!.value).toBeLessThan(high!.value!);
    const median = await take({ take: 'quantile', quantile: 0.5 });
    expect(Math.abs(median.value! - middle!.value!)).toBeLessThan(1);
    const long = await measure(
      { prometheus: { query: 'rising', over: { minutes: 60, stepSeconds: 1, take: 'slope' } } },
      { prometheus: { url: prometheus.url } },
    );
    expect(long).toMatchObject({ ok: false, unknown: 'gaps', windowMs: 3_600_000 });
  });

  it('does not pass an old sample off as the present one', async () => {
    // It has a time of its own, so its series is not ended when it is exported no more.
    exported = `stamped 1 ${Date.now() - 30_000}\nflow ${1} \n`;
    await until('stamped', (count) => count === 1);
    expect(await ask('stamped')).toMatchObject({ value: 1 });
    const old = await ask('stamped', { maxAgeSeconds: 10 });
    expect(old).toMatchObject({ ok: false, unknown: 'old' });
    expect(old.detail).toContain('the newest sample in Prometheus is older than 10.0 s');
    // A look back of its own hides the age; what is named as fresh tells.
    const query = 'sum_over_time(stamped[5m]) > 0';
    expect(await ask(query, { maxAgeSeconds: 10 })).toMatchObject({ ok: true });
    const fresh = { prometheus: { query, fresh: 'stamped' }, maxAgeSeconds: 10 };
    expect(await measure(fresh, { prometheus: { url: prometheus.url } })).toMatchObject({ unknown: 'old' });
  });

  it('takes a fresh selector at its word: one that shows nothing is old, and one that is refused is refused', async () => {
    exported = `stamped 1 ${Date.now()}\n`;
    await until('stamped', (count) => count === 1);
    const query = 'sum_over_time(stamped[5m]) > 0';
    const askFresh = (fresh: string) =>
      measure({ prometheus: { query, fresh } }, { prometheus: { url: prometheus.url } });
    expect(await askFresh('stamped')).toMatchObject({ ok: true });
    const gone = await askFresh('nothing_of_that_name');
    expect(gone).toMatchObject({ ok: false, unknown: 'old' });
    expect(gone.detail).toContain('the newest sample of nothing_of_that_name in Prometheus is older than');
    expect(await askFresh('stamped{')).toMatchObject({ ok: false, unknown: 'refused' });
    expect(await askFresh('scalar(stamped)')).toMatchObject({ ok: false, unknown: 'refused' });
  });
});

describe('a time', () => {
  it.each([
    [1_760_000_000, 1_760_000_000_000],
    ['1760000000.5', 1_760_000_000_500],
    [1_760_000_000_000, 1_760_000_000_000],
    ['2026-11-22T05:00:00Z', Date.UTC(2026, 10, 22, 5)],
    ['2026-11-22 05:00:00+00', Date.UTC(2026, 10, 22, 5)],
    ['2026-11-22 07:00:00.000+02:00', Date.UTC(2026, 10, 22, 5)],
    ['Sun, 22 Nov 2026 05:00:00 GMT', Date.UTC(2026, 10, 22, 5)],
    ['2026-11-22 05:00:00', undefined],
    ['yesterday', undefined],
    ['', undefined],
  ])('%s is %s', (text, ms) => expect(timeOf(text)).toBe(ms));
});

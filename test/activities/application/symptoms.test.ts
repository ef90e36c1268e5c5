import { createMeasureActivities } from '../../../src/activities/application/measure';
import { createApplicationActivities } from '../../../src/activities/application/symptoms';
import { configWith, startReceiver, type Receiver } from '../notifications/receiver';

let server: Receiver;
beforeAll(async () => {
  server = await startReceiver();
});
afterAll(() => server.close());
beforeEach(() => server.reset());

describe('the application', () => {
  const activities = () =>
    createApplicationActivities({
      config: configWith(
        {},
        {
          application: {
            health: [
              { name: 'ready', url: `${server.base}/ready` },
              { name: 'gone', url: 'http://127.0.0.1:1/health' },
            ],
            errorRate: { url: `${server.base}/rate`, field: 'now.rate', max: 0.01 },
          },
        },
      ),
    });
  const place = { service: 'shop', environment: 'production' };

  it('is healthy only where its endpoints answer 2xx; one that does not answer is a failed check', async () => {
    expect(await activities().checkHealth(place)).toMatchObject([
      { name: 'ready', ok: true },
      { name: 'gone', ok: false },
    ]);
    server.reply = () => ({ status: 503, body: 'down' });
    expect((await activities().checkHealth(place))[0]).toMatchObject({
      ok: false,
      detail: 'answered 503: down',
    });
  });

  it('is read no further than needed, however much it says', async () => {
    server.reply = () => ({ body: 'x'.repeat(3_000_000) });
    expect((await activities().checkHealth(place))[0]).toMatchObject({ ok: true, detail: 'answered 200' });
    await expect(activities().readErrorRate(place)).rejects.toThrow(/longer than 1000000 bytes/);
  });

  it.each([
    ['{"now":{"rate":0.002}}', true],
    ['{"now":{"rate":0.05}}', false],
  ])('with the error rate %s is within its objective: %s', async (body, ok) => {
    server.reply = () => ({ body });
    expect((await activities().readErrorRate(place)).ok).toBe(ok);
  });

  it.each(['{"now":{}}', '{"now":{"rate":"0"}}', 'null'])(
    'that answers %s has no error rate, which is a failure',
    async (body) => {
      server.reply = () => ({ body });
      await expect(activities().readErrorRate(place)).rejects.toThrow(/no number at "now\.rate"/);
    },
  );

  describe('as customers notice it', () => {
    const symptomsOf = (more: Record<string, unknown>) =>
      createApplicationActivities({ config: configWith({}, { application: more }) }).readSymptoms(place);
    const errorRate = () => ({ url: `${server.base}/rate`, field: 'rate', windowSeconds: 7 });

    it.each([
      [0.01, 'objective', true],
      [0.05, 'info', false],
      [0.1, 'warning', false],
      [0.11, 'critical', false],
    ])('lies with %d in the band %s', async (rate, band, ok) => {
      server.reply = () => ({ body: JSON.stringify({ rate }) });
      const found = await symptomsOf({ errorRate: errorRate() });
      expect(found).toMatchObject({ ok, rate, band, rateKnown: true, windowMs: 7_000, checks: 0 });
    });

    it('is not well while a health check fails, whatever the rate', async () => {
      server.reply = ({ path }) =>
        path === '/rate' ? { body: '{"rate":0}' } : { status: 503, body: 'down' };
      const health = [{ name: 'ready', url: `${server.base}/ready` }];
      const found = await symptomsOf({ health, errorRate: errorRate() });
      expect(found).toMatchObject({ ok: false, rate: 0, checks: 1, failing: [{ name: 'ready' }] });
      expect(found.detail).toBe('error rate 0.00 %, objective 1.00 %; ready answered 503');
    });

    it('serves nobody where it gives no answer, which is a fact and no error', async () => {
      const found = await symptomsOf({ errorRate: { url: 'http://127.0.0.1:1/rate' } });
      expect(found).toMatchObject({ ok: false, rate: 1, rateKnown: false, band: 'critical' });
    });

    it('has a mistake in its configuration where the answer has no such number', async () => {
      server.reply = () => ({ body: '{}' });
      await expect(symptomsOf({ errorRate: errorRate() })).rejects.toThrow(/no number at "rate"/);
    });

    it('is not measured where nothing is configured', async () => {
      expect(await symptomsOf({})).toMatchObject({ ok: true, rate: null, band: null, checks: 0 });
    });

    describe('also where answers come late, or work waits', () => {
      const measure = (value: number | string) => ({
        operation: { url: `${server.base}/stats`, field: `is.${value}` },
      });
      const read = (measures: Record<string, object>, application: object = {}) => {
        const config = configWith({}, { application, observe: { measures } });
        const { readSymptoms, listChecks } = createApplicationActivities({ config });
        const { measureService } = createMeasureActivities({ config });
        return { symptoms: () => readSymptoms(place), checks: () => listChecks(place), measureService };
      };
      const numbers = [0, 0.3, 0.6, 3, 45];
      beforeEach(() => {
        const is = Object.fromEntries(numbers.map((number) => [String(number).replace('.', '_'), number]));
        server.reply = ({ path }) => ({ body: JSON.stringify(path === '/rate' ? { rate: 0 } : { is }) });
      });

      it('above the band of information', async () => {
        const measures = {
          'latency-p95': measure('0_6'),
          'queue-delay': measure(45),
          'cpu-utilisation': measure(3),
        };
        const found = await read(measures, { errorRate: errorRate() }).symptoms();
        expect(found).toMatchObject({ ok: false, rate: 0, band: 'objective', windowMs: 60_000 });
        expect(found.strains?.map(({ name, band }) => `${name} ${band}`)).toEqual([
          'latency-p95 warning',
          'queue-delay warning',
        ]);
        expect(found.detail).toContain(
          '; latency-p95 600 ms, wanted at most 200 ms (warning); queue-delay 45.0 s',
        );
      });

      it('and says the rest', async () => {
        const found = await read({ 'latency-p95': measure('0_3') }, { errorRate: errorRate() }).symptoms();
        expect(found).toMatchObject({ ok: true, strains: [] });
        expect(found.detail).toContain('latency-p95 300 ms, wanted at most 200 ms (info)');
      });

      it('and where that is not known', async () => {
        const found = await read({ 'latency-p95': measure('gone') }, { errorRate: errorRate() }).symptoms();
        expect(found).toMatchObject({ ok: false, rate: 0, strains: [{ name: 'latency-p95', value: null }] });
        const { measureService } = read({ 'latency-p95': measure('gone') });
        expect(await measureService(place)).toMatchObject({ ok: false, errorRate: null });
      });

      it('takes the error rate from the measure of that name where the application has none', async () => {
        const { symptoms, checks, measureService } = read({ 'error-rate': measure('0_3') });
        expect(await symptoms()).toMatchObject({ ok: false, rate: 0.3, band: 'critical', windowMs: 60_000 });
        expect(await checks()).toMatchObject({ errorRate: true });
        expect(await measureService(place)).toMatchObject({ ok: false, errorRate: 0.3 });
        const unknown = read({ 'error-rate': measure('gone') });
        await expect(unknown.symptoms()).rejects.toMatchObject({
          type: 'MeasureUnknown',
          nonRetryable: false,
        });
        expect(await unknown.measureService(place)).toMatchObject({ ok: false, errorRate: null });
      });
    });
  });
});

import type { WorkflowHandle } from '@temporalio/client';
import { deployVersion } from '../../examples/shared/deployments';
import { setSwitches } from '../../examples/booking/switches';
import { observeSchema } from '../../src/config/measure-schema';
import { firing, resolved } from './alerts';
import { makeTrouble, searchOften } from './connections-world';
import { titles } from './harness';
import { useStrainWorld } from './strain-world';

// So long that somebody is answered within it, however slow a search is on a busy machine.
const WINDOW_SECONDS = 8;
const FIELDS = { 'latency-p95': 'latency', 'cache-hit-rate': 'hits', 'cpu-utilisation': 'cpu' };

const { world, driver, app, numbers, switches } = useStrainWorld(
  { shared_preload_libraries: 'pg_stat_statements' },
  WINDOW_SECONDS,
);
beforeEach(async () => {
  await app.reset();
  app.observe.measures = world.measure(FIELDS);
});

const WELL = { latency: 0.1, hits: 0.9, cpu: 0.3 };

const run = (input = {}) => driver.run('resolveSlowResponses', input);
const start = (input = {}) => driver.start('resolveSlowResponses', input);
/** A cache that keeps too little, also with what is usual, and is all that is wrong. */
const coldCache = () => {
  setSwitches(app.directory, { cacheTtlSeconds: 0 });
  numbers(({ cacheTtlSeconds }) => (cacheTtlSeconds > 30 ? WELL : { ...WELL, latency: 3, hits: 0.1 }));
};
/** Why a remedy was taken back, once the run asks what to try next. */
const takenBack = async (handle: WorkflowHandle) => {
  await driver.waiting(handle, 'decision');
  const { timeline } = await driver.until(handle, () => true);
  return timeline.find(({ title }) => title.startsWith('Did not help'))?.detail;
};

it('slow searches whose answers no cache keeps are kept there again, and really are fast', async () => {
  app.observe.measures = observeSchema.parse({
    measures: {
      'latency-p95': {
        operation: { url: `${app.url}/api/metrics/latency`, field: 'p95Seconds' },
        info: 1,
        warning: 2,
        critical: 60,
        // The last slow answer comes once the switch is seen, and leaves the window after that.
        windowSeconds: WINDOW_SECONDS + 4,
      },
      'cache-hit-rate': {
        operation: { url: `${app.url}/api/cache/stats`, field: 'hitRate' },
        windowSeconds: WINDOW_SECONDS,
      },
    },
  }).measures;
  // So few at a time that the pool has room.
  const customers = searchOften(app.url, 3);
  try {
    setSwitches(app.directory, { interestSeconds: 2.4, cacheTtlSeconds: 0 });
    for (let p95 = 0; p95 < 2;) {
      const answer = await fetch(`${app.url}/api/metrics/latency`);
      p95 = ((await answer.json()) as { p95Seconds: number | null }).p95Seconds ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { outcome, message, report } = await run();
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(
        /^latency-p95 .*; cause: the cache is hardly used; remedy: keep answers longer in the cache$/,
      ),
    ]);
    expect(switches().cacheTtlSeconds).toBe(600);
    expect(report.facts['latencyP95Before']).toBeGreaterThan(2);
    expect(report.facts['latencyP95After']).toBeLessThan(2);
    expect(report.facts['evidence']).toMatch(/^cache-hit-rate .* wanted at least 70\.00 % \(warning\)$/);
    expect(titles(report)).toEqual(expect.arrayContaining(['It stays so', 'Post-mortem draft']));
    const told = driver.stack.inbox.received().map(({ text }) => text);
    expect(told).toContainEqual(expect.stringContaining('application.raiseCacheTtl.restore'));
  } finally {
    await customers.stop();
  }
});

it('responses in time are nothing to do, and neither are those that are only above the objective', async () => {
  numbers(() => WELL);
  expect(await run({ alert: firing() })).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: 'latency-p95 100 ms, wanted at most 200 ms',
  });
  numbers(() => ({ ...WELL, latency: 0.3 }));
  expect(await run()).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: 'latency-p95 300 ms, wanted at most 200 ms (info)',
  });
});

describe('a cold cache', () => {
  it('is only reported in mode observe, with what nobody looks at', async () => {
    coldCache();
    delete app.application.scaleUp;
    delete app.application.queryStats;
    const before = app.state();
    const { outcome, report } = await run({ mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions.map(({ action }) => action)).toEqual(['keep answers longer in the cache']);
    expect(report.plan?.warnings).toEqual([
      'slow-query is not known: observe.measures.slow-query is not configured',
      'no statement is known: pg_stat_statements is not there',
      'application.queryStats is not configured: the application is not asked',
      'application.scaleUp is not configured: that is for people',
    ]);
    expect(app.state()).toEqual(before);
  });

  it('is a task for a person where no command is configured, and the run goes on by itself', async () => {
    coldCache();
    delete app.application.raiseCacheTtl;
    const handle = await start({ alert: firing() });
    const { question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(
      /application\.raiseCacheTtl is not configured: keep answers longer in the cache by hand/,
    );
    setSwitches(app.directory, { cacheTtlSeconds: 60 });
    await resolved(handle);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  });
});

describe('a remedy', () => {
  it('that does not help is taken back, and a person chooses what to try next', async () => {
    setSwitches(app.directory, { cacheTtlSeconds: 0 });
    numbers(({ instances, cacheTtlSeconds }) =>
      instances > 1 ? WELL : { ...WELL, latency: 3, hits: cacheTtlSeconds > 0 ? 0.9 : 0.1 },
    );
    const handle = await start();
    const { id, question, choices } = await driver.waiting(handle, 'decision');
    expect(switches().cacheTtlSeconds).toBe(30);
    expect(question).toMatch(
      /tried without success: keep answers longer in the cache\. What shall be tried\?$/,
    );
    expect(choices).toEqual([
      'by hand',
      'roll back 1.4.1 to 1.4.0',
      'scale up',
      'restart the application',
      'tune the slow queries',
      'relieve the connection pool',
    ]);
    await driver.answer(handle, 'decide', { question: id, choice: 'scale up', by: 'ben' });
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.facts['remedy']]).toEqual([
      'SUCCEEDED',
      'scale up; before that: keep answers longer in the cache',
    ]);
    expect(switches()).toMatchObject({ instances: 8, cacheTtlSeconds: 30 });
  });

  it('that was applied before is neither judged nor taken back', async () => {
    setSwitches(app.directory, { cacheTtlSeconds: 600 });
    numbers(() => ({ ...WELL, latency: 3, hits: 0.1 }));
    const handle = await start();
    expect(await takenBack(handle)).toMatch(/applied already/);
    expect(switches().cacheTtlSeconds).toBe(600);
    await driver.cancel(handle);
  });

  it('that helps, though not enough, stays, and the next one is looked for', async () => {
    setSwitches(app.directory, { cacheTtlSeconds: 0 });
    numbers(({ instances, cacheTtlSeconds }) => ({
      latency: instances > 1 ? 0.1 : cacheTtlSeconds > 0 ? 0.8 : 3,
      hits: cacheTtlSeconds > 0 ? 0.9 : 0.1,
      cpu: instances > 1 ? 0.2 : 0.95,
    }));
    const { outcome, report } = await run();
    expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', 'the processors are busy']);
    expect(titles(report)).toEqual(
      expect.arrayContaining([
        'Speaks for it too: the processors are busy',
        'Helped, but not enough, and stays: keep answers longer in the cache',
      ]),
    );
    expect(switches()).toMatchObject({ instances: 8, cacheTtlSeconds: 600 });
  });

  it('that makes requests fail is taken back, though responses are fast now', async () => {
    coldCache();
    const [program, script] = app.application.scaleUp!.apply.run as [string, string];
    const breaking = [program, script, 'feature', 'recommendations'];
    // It has broken something once it ends, however long that takes to show.
    const shown = `const look = async () => (await (await fetch('${app.url}/api/metrics/error-rate')).json()).errorRate > 0.2 || setTimeout(look, 50); look();`;
    const breakIt = `"$@" on && exec "$1" -e "${shown}"`;
    app.application.raiseCacheTtl = {
      apply: { ...app.application.scaleUp!.apply, run: ['sh', '-c', breakIt, 'sh', ...breaking] },
      restore: { ...app.application.scaleUp!.apply, run: [...breaking, 'off'] },
    };
    numbers(({ recommendations }) => (recommendations ? WELL : { ...WELL, latency: 3, hits: 0.1 }));
    const handle = await start();
    expect(await takenBack(handle)).toMatch(/more requests fail than before/);
    expect(switches().recommendations).toBe(false);
    expect((await driver.cancel(handle)).outcome).toBe('ROLLED_BACK');
  });

  it('whose command fails is taken back too, and the run says what failed', async () => {
    coldCache();
    app.application.raiseCacheTtl!.apply.run = ['sh', '-c', 'echo no such cache >&2; exit 3'];
    const handle = await start();
    expect(await takenBack(handle)).toMatch(/ended with status 3: no such cache/);
    expect(titles((await driver.cancel(handle)).report)).toContain(
      'Take back: keep answers longer in the cache',
    );
  });
});

describe('what another runbook mends', () => {
  it('is a young deployment: it is rolled back', async () => {
    const { id } = deployVersion(app.directory, '1.4.0');
    numbers(() => (app.front() === id ? { ...WELL, latency: 3 } : WELL));
    const { outcome, report } = await run();
    expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', 'the deployment of 1.4.0']);
    expect(report.facts['evidence']).toMatch(/before the slow responses were seen/);
    expect(app.front()).toBe('dep-2');
  });

  it('are forgotten transactions: they are ended', async () => {
    // What the application itself is about to end is none of them, however slow the machine is.
    const forgottenAfter = 10;
    app.service.connections.idleInTransactionSeconds = forgottenAfter;
    const forgotten = await makeTrouble(driver, 2, forgottenAfter);
    try {
      const found = () =>
        driver.sql(
          `SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' AND state_change < now() - interval '${forgottenAfter} s'`,
        );
      numbers(async () => ((await found()).length > 0 ? { ...WELL, latency: 3 } : WELL));
      const { outcome, report } = await run();
      expect([outcome, report.facts['cause']]).toEqual([
        'SUCCEEDED',
        'forgotten transactions hold their locks',
      ]);
      expect(titles(report)).toContain('relieve the connection pool');
    } finally {
      await forgotten.stop();
    }
  });

  it('is denied there, and not asked for twice', async () => {
    const { id } = deployVersion(app.directory, '1.4.0');
    numbers(() => (app.front() === id ? { ...WELL, latency: 3 } : WELL));
    const handle = await start({ mode: 'propose' });
    const child = await driver.childOf(handle, 'rollBackDeployment');
    const { id: plan } = await driver.waiting(child, 'approval');
    await driver.answer(child, 'reject', { plan, by: 'ben', note: 'we mend it' });
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'REJECTED',
      message: expect.stringContaining('we mend it') as string,
    });
    expect(app.front()).toBe(id);
  });

  it('are statements without an index: one is built', async () => {
    await driver.sql(
      `CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
       CREATE TABLE slow_visits (code int, note text); ALTER TABLE slow_visits OWNER TO booking_owner;
       INSERT INTO slow_visits SELECT i, repeat('x', 20) FROM generate_series(1, 20000) i; ANALYZE slow_visits`,
    );
    app.service.tuning.slowMs = 100;
    for (let call = 0; call < 5; call += 1)
      await driver.sql('SELECT *, pg_sleep(0.2) FROM slow_visits WHERE code = 77');
    const indexes = () => driver.sql(`SELECT FROM pg_indexes WHERE tablename = 'slow_visits'`);
    numbers(async () => ((await indexes()).length === 0 ? { ...WELL, latency: 3 } : WELL));
    expect((await driver.run('backUpDatabase')).outcome).toBe('SUCCEEDED');
    const { outcome, report } = await run();
    expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', 'queries are slow']);
    expect(report.facts['evidence']).toMatch(/^\d+ statements? over 100 ms on average, e\.g\. /);
    expect(await indexes()).toHaveLength(1);
    await driver.sql('DROP EXTENSION pg_stat_statements; DROP TABLE slow_visits');
  });
});

it('that nobody measures them is said with what to configure', async () => {
  app.observe.measures = {};
  const { outcome, message } = await run();
  expect([outcome, message]).toEqual([
    'FAILED',
    expect.stringMatching(/set one of latency-p95, latency-p99 under observe\.measures/),
  ]);
});

// Last: the worker of this process goes.
it('a worker that is killed while it scales up: the next one does it again, and goes on', async () => {
  numbers(({ instances }) => (instances > 1 ? WELL : { ...WELL, latency: 3, cpu: 0.95 }));
  const [program, script] = app.application.scaleUp!.apply.run as [string, string];
  const { outcome, attempts } = await world.killDuring('resolveSlowResponses', {
    path: 'scaleUp.apply',
    then: `'${program}' '${script}' scale 8`,
    fields: FIELDS,
  });
  expect([outcome, switches().instances]).toEqual(['SUCCEEDED', 8]);
  expect(attempts).toBeGreaterThan(1);
});

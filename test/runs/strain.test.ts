import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { deployVersion } from '../../examples/shared/deployments';
import { sampleProgram } from '../../examples/booking/files';
import { setSwitches } from '../../examples/booking/switches';
import { observeSchema } from '../../src/config/measure-schema';
import { firing, resolved } from './alerts';
import { titles } from './harness';
import { SILENT, useStrainWorld } from './strain-world';

const { world, driver, app, numbers } = useStrainWorld();
const FIELDS = {
  'latency-p95': 'latency',
  'cache-hit-rate': 'hits',
  'memory-utilisation': 'memory',
  'cache-utilisation': 'cache',
  'cpu-utilisation': 'cpu',
  'event-loop-utilisation': 'loop',
  'slow-query': 'query',
};
const WELL = {
  latency: 0.1,
  hits: 0.9,
  memory: 0.4,
  growth: 0,
  cache: 0.5,
  cpu: 0.3,
  loop: 0.2,
  query: 0.1,
  logs: 1,
};

beforeEach(async () => {
  await app.reset();
  app.observe.measures = {
    ...world.measure(FIELDS),
    ...world.measure({ 'memory-growth': 'growth' }, { warning: 1e9, unit: 'bytes' }),
    ...world.measure({ 'log-rate': 'logs' }, { warning: 1_000 }),
  };
  rmSync(join(app.directory, 'restarted'), { force: true });
  app.application.restart!.run = ['sh', '-c', 'date +%s%3N > restarted'];
});

/** Milliseconds since 1970; undefined: it was not. */
const restartedAt = (): number | undefined => {
  const file = join(app.directory, 'restarted');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
};

describe('a sample application in a process of its own', () => {
  /** Whose memory and processor time are its own. */
  const startProcess = async () => {
    const { booking, directory } = driver.stack;
    const program = spawn(process.execPath, [sampleProgram('app.js')], {
      env: { ...process.env, DATABASE_URL: booking.urls.production.app, DIRECTORY: directory, TRAFFIC: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = await new Promise<string>((resolve, reject) => {
      createInterface(program.stdout).once('line', resolve);
      program.once('exit', () => reject(new Error('the sample application did not start')));
    });
    const field = (name: string) => ({
      operation: { url: `${url}/api/metrics/process`, field: name },
      windowSeconds: 15,
    });
    // The processor: as low as a machine with much other work makes it, and above what idles.
    app.observe.measures = observeSchema.parse({
      measures: {
        'cpu-utilisation': { ...field('cpuUtilisation'), warning: 0.06 },
        'memory-growth': { ...field('memoryGrowthBytesAnHour'), warning: 4e9, unit: 'bytes' },
      },
    }).measures;
    const until = async (name: string, isRight: (value: number | null) => boolean) => {
      for (let tries = 0; tries < 1_200; tries += 1) {
        const answer = await fetch(`${url}/api/metrics/process`);
        if (isRight(((await answer.json()) as Record<string, number | null>)[name]!)) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`${name} never got there`);
    };
    const stop = () =>
      new Promise<void>((resolve) => {
        program.once('exit', () => resolve());
        program.kill('SIGKILL');
      });
    return { url, until, stop };
  };

  it('that leaks is restarted, and its memory no longer grows', async () => {
    const { url, until, stop } = await startProcess();
    const usual = process.env['BOOKING_APP_URL'];
    process.env['BOOKING_APP_URL'] = url;
    app.application.restart!.run = [process.execPath, sampleProgram('operate.js'), 'restart'];
    try {
      await until('memoryGrowthBytesAnHour', (growth) => growth !== null && growth < 3e9);
      setSwitches(app.directory, { leakSince: Date.now() });
      // For long enough that what is collected meanwhile hides it no longer.
      let steady = 0;
      const isSteady = (growth: number | null) => (steady = (growth ?? 0) > 8e9 ? steady + 1 : 0) > 80;
      await until('memoryGrowthBytesAnHour', isSteady);
      const { outcome, report } = await driver.run('relieveMemoryPressure');
      expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', 'memory leaks']);
      expect(report.facts['memoryGrowthBefore']).toBeGreaterThan(4e9);
      expect(report.facts['memoryGrowthAfter']).toBeLessThan(4e9);
      expect(titles(report)).toEqual(expect.arrayContaining(['Restart the application', 'It stays so']));
    } finally {
      process.env['BOOKING_APP_URL'] = usual;
      await stop();
    }
  });

  it('that keeps a processor busy is scaled up', async () => {
    const { until, stop } = await startProcess();
    // Where others have most of the processors, the load is small from the beginning.
    app.application.scaleUp!.apply.run.splice(-1, 1, '100');
    try {
      setSwitches(app.directory, { busySince: Date.now() });
      await until('cpuUtilisation', (share) => share !== null && share > 0.1);
      const { outcome, report } = await driver.run('relieveCpuSpike');
      expect([outcome, report.facts['cause']]).toEqual([
        'SUCCEEDED',
        'there is more to do than the processors can',
      ]);
      expect(world.switches().instances).toBe(100);
      expect(report.facts['cpuUtilisationAfter']).toBeLessThan(0.06);
    } finally {
      await stop();
    }
  });
});

describe.each([
  [
    'resolveSlowResponses',
    { ...WELL, latency: 3, hits: 0.1 },
    'keep answers longer in the cache',
    'slow responses',
  ],
  ['relieveMemoryPressure', { ...WELL, memory: 0.9 }, 'raise the memory limit', 'signs of memory pressure'],
  ['relieveCpuSpike', { ...WELL, cpu: 0.9 }, 'scale up', 'busy processors'],
])('%s', (runbook, strained, action, trouble) => {
  it('finds nothing to do where all is well', async () => {
    numbers(() => WELL);
    expect((await driver.run(runbook)).outcome).toBe('NOTHING_TO_DO');
  });

  it('changes nothing in mode observe, without an approval, and where it is over meanwhile', async () => {
    numbers(() => strained);
    const before = app.state();
    const { outcome, report } = await driver.run(runbook, { mode: 'observe' });
    expect([outcome, report.plan?.actions.map((one) => one.action)]).toEqual(['OBSERVED', [action]]);
    const denied = await driver.start(runbook, { mode: 'propose' });
    const { id } = await driver.waiting(denied, 'approval');
    await driver.answer(denied, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(denied)).outcome).toBe('REJECTED');
    const handle = await driver.start(runbook, { mode: 'propose', alert: firing() });
    await driver.waiting(handle, 'approval');
    numbers(() => WELL);
    await resolved(handle);
    expect((await driver.end(handle)).outcome).toBe('NOTHING_TO_DO');
    numbers(() => strained);
    app.service.approval.expiresAfterMinutes = 0.02;
    expect((await driver.run(runbook, { mode: 'propose' })).outcome).toBe('REJECTED');
    expect(app.state()).toEqual(before);
    expect(restartedAt()).toBeUndefined();
  });

  it('takes back what did not help, and asks', async () => {
    numbers(() => strained);
    const before = world.switches();
    const handle = await driver.start(runbook);
    const { question } = await driver.waiting(handle, 'decision');
    expect(question).toContain(`tried without success: ${action}. What shall be tried?`);
    expect(world.switches()).toEqual(before);
    expect((await driver.cancel(handle)).outcome).toBe('ROLLED_BACK');
  });

  it.each(SILENT)('does nothing about a number %s', async (_, answer, message) => {
    const said = answer();
    const url = said === undefined ? 'http://127.0.0.1:1' : world.prometheus(said);
    const query = { prometheus: { query: 'x' } };
    const measures = { 'latency-p95': query, 'memory-utilisation': query, 'cpu-utilisation': query };
    Object.assign(app.observe, observeSchema.parse({ prometheus: { url, timeoutMs: 20_000 }, measures }));
    const before = app.state();
    const ended = await driver.run(runbook);
    expect([ended.outcome, ended.message]).toEqual(['FAILED', expect.stringMatching(message)]);
    expect(ended.message).toContain(`whether booking/production suffers from ${trouble} is not known`);
    expect(app.state()).toEqual(before);
  });
});

describe('memory', () => {
  it('that is short and does not grow gets a higher limit, and what else is found is told', async () => {
    numbers(({ memoryLimitMegabytes }) => ({
      ...WELL,
      memory: memoryLimitMegabytes > 2_000 ? 0.5 : 0.9,
      cache: 0.95,
    }));
    const { outcome, report } = await driver.run('relieveMemoryPressure');
    expect([outcome, report.facts['remedy']]).toEqual(['SUCCEEDED', 'raise the memory limit']);
    expect(titles(report)).toContain('Speaks for it too: a cache has reached its limit, or has none');
    expect(world.switches().memoryLimitMegabytes).toBe(3_000);
  });

  it('of which two runs take care is restarted once', async () => {
    app.observe.measures = {
      ...app.observe.measures,
      // The other one waits for that long.
      ...world.measure({ 'memory-growth': 'growth' }, { warning: 1e9, unit: 'bytes', windowSeconds: 8 }),
    };
    app.application.restart!.run = ['sh', '-c', 'date +%s%3N >> restarted'];
    numbers(() => (restartedAt() === undefined ? { ...WELL, growth: 5e9 } : WELL));
    const both = [driver.run('relieveMemoryPressure'), driver.run('relieveMemoryPressure')];
    const outcomes = (await Promise.all(both)).map(({ outcome }) => outcome);
    expect(outcomes.sort()).toEqual(['NOTHING_TO_DO', 'SUCCEEDED']);
    expect(readFileSync(join(app.directory, 'restarted'), 'utf8').trim().split('\n')).toHaveLength(1);
  });

  it('that grows again after a restart is found out, though every trend looks well right after it', async () => {
    const windowMs = 1_500;
    app.observe.measures = {
      ...app.observe.measures,
      ...world.measure(
        { 'memory-growth': 'growth' },
        { warning: 1e9, unit: 'bytes', windowSeconds: windowMs / 1_000 },
      ),
    };
    numbers(() => {
      const at = restartedAt();
      // For as long as the restart lies within it.
      const growth = at !== undefined && Date.now() - at < windowMs ? -5e9 : 5e9;
      return { ...WELL, growth };
    });
    const handle = await driver.start('relieveMemoryPressure');
    const { question } = await driver.waiting(handle, 'decision');
    expect(question).toMatch(/found: memory leaks .*; tried without success: restart the application\./);
    expect(await driver.cancel(handle)).toMatchObject({
      outcome: 'PARTIAL',
      message: expect.stringContaining('changed and not undone: the application was restarted') as string,
    });
  });
});

describe('busy processors', () => {
  it('whose event loop is at its end are restarted', async () => {
    numbers(() => (restartedAt() === undefined ? { ...WELL, cpu: 0.99, loop: 0.99 } : WELL));
    const { outcome, report } = await driver.run('relieveCpuSpike');
    expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', 'a loop does not end']);
    expect(world.switches().instances).toBe(1);
  });

  it('that write logs are a task, and the run goes on when somebody has mended that', async () => {
    numbers(() => ({ ...WELL, cpu: 0.9, logs: 5_000 }));
    const handle = await driver.start('relieveCpuSpike', { alert: firing() });
    const { question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(/^Probably too much is logged: log-rate 5000, .* raise the level of the log\.$/);
    numbers(() => WELL);
    await resolved(handle);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  });

  it('that wait for queries are scaled up where tuneSlowQueries finds nothing to mend', async () => {
    numbers(({ instances }) => (instances > 1 ? WELL : { ...WELL, cpu: 0.9, query: 3 }));
    const { outcome, report } = await driver.run('relieveCpuSpike');
    expect([outcome, report.facts['remedy']]).toEqual([
      'SUCCEEDED',
      'scale up; before that: tune the slow queries',
    ]);
  });
});

describe.each([
  ['relieveMemoryPressure', { ...WELL, memory: 0.9 }],
  ['relieveCpuSpike', { ...WELL, cpu: 0.9 }],
])('a young deployment, though every request is served: %s', (runbook, strained) => {
  it('rolls it back', async () => {
    const { id } = deployVersion(app.directory, '1.4.0');
    numbers(() => (app.front() === id ? strained : WELL));
    const { outcome, report } = await driver.run(runbook);
    expect([outcome, report.facts['remedy']]).toEqual(['SUCCEEDED', 'roll back 1.4.0 to 1.4.1']);
    expect(app.front()).toBe('dep-2');
  });
});

// Last: the worker of this process goes.
it('a worker that is killed while it restarts the application: the next one does it again, and goes on', async () => {
  numbers(() => (restartedAt() === undefined ? { ...WELL, cpu: 0.99, loop: 0.99 } : WELL));
  const { outcome, attempts } = await world.killDuring('relieveCpuSpike', {
    path: 'restart',
    then: 'date +%s%3N > restarted',
    fields: FIELDS,
  });
  expect(outcome).toBe('SUCCEEDED');
  expect(attempts).toBeGreaterThan(1);
});

import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import type { IncidentRecord } from '../../../../src/contract/incident';
import type { RunReport } from '../../../../src/contract/report';
import { alertOf } from '../../kit/harness';
import { HOUR, MINUTE, stopIncidents, withIncidents, type IncidentWorld } from './harness';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopIncidents();
  await env?.teardown();
});

describe('who says that it is over', () => {
  it('is answered also where the run only observes, and ends before it looks', () =>
    withIncidents(env, async ({ world, start, say, until, finish }) => {
      world.policy = { ...world.policy, mode: 'observe' };
      let go!: () => void;
      const told = new Promise<void>((resolve) => (go = resolve));
      world.checks = async () => {
        await told;
        return [];
      };
      const handle = await start();
      await until(handle, ({ timeline }) =>
        timeline.some(({ title }) => title === 'Read the further checks'),
      );
      const answer = say(handle, 'resolve', { by: 'ben', note: 'over' });
      await new Promise((resolve) => setTimeout(resolve, 500));
      go();
      expect(await answer).toMatch(/REFUSED.*the run has ended/);
      expect((await finish(handle)).report?.outcome).toBe('OBSERVED');
    }));
});

describe('a deployment', () => {
  it.each([
    ['from shortly before the symptom is suspected', -10, false, '10 min 0 s before the symptom'],
    ['that came after it is not: it may be the remedy', 10, true, 'after the symptom'],
    ['from long before it is not', -90, true, '1 h 30 min before the symptom'],
  ])('%s', (_, minutes, ok, when) =>
    withIncidents(env, async ({ world, start, finish }) => {
      world.policy = { ...world.policy, mode: 'observe' };
      world.incident = { suspectMs: HOUR };
      const beganMs = (await env.currentTimeMs()) - HOUR;
      const createdAt = new Date(beganMs + minutes * MINUTE).toISOString();
      world.deployments = [{ id: 'dep-2', createdAt, state: 'ready', current: true, version: '1.5.0' }];
      const alert = { ...alertOf(), startsAt: new Date(beganMs).toISOString() };
      const { report } = await finish(await start({ alert }));
      expect((report as RunReport & { incident: IncidentRecord }).incident.findings).toContainEqual({
        name: 'recent-deployment',
        ok,
        detail: `1.5.0 was put in front ${when}`,
      });
    }),
  );
});

describe('the log', () => {
  const observe = async (log: IncidentWorld['log']) => {
    let report: (RunReport & { incident: IncidentRecord }) | undefined;
    await withIncidents(env, async ({ world, start, finish }) => {
      Object.assign(world, { policy: { ...world.policy, mode: 'observe' }, log });
      report = (await finish(await start())).report as typeof report;
    });
    const line = report?.timeline.find(({ title }) => title === 'Errors in the log');
    const findings = report?.incident.findings.filter(({ name }) => !name.startsWith('health '));
    return { outcome: report?.outcome, findings, line };
  };
  const seen = { errors: 3, warnings: 1, watched: [], cut: false, permitted: 5 };
  const topErrors = [
    { level: 'error' as const, message: 'no slot', count: 3, stack: 'at hold (a.js:1)', requestIds: ['r-1'] },
  ];

  it.each([
    ['with errors, as many as are permitted', {}, true],
    ['with more than that', { permitted: 2 }, false],
    ['of which not all could be read', { cut: true }, false],
  ])('%s', async (_, more, ok) => {
    const { findings, line } = await observe(async () => ({ ...seen, topErrors, ...more }));
    expect(findings).toMatchObject([
      {
        name: 'errors-in-the-log',
        ok,
        detail: expect.stringMatching(/3 x no slot \(at hold.*; request r-1\)$/),
      },
    ]);
    expect(line?.status).toBe('done');
  });

  it('that is not configured is no finding, and said', async () => {
    const { findings, line } = await observe(async () => null);
    expect([findings, line?.detail]).toEqual([[], 'not looked at: observe.logs is not configured']);
  });

  it.each<[string, ApplicationFailure, RegExp]>([
    ['cannot be read', ApplicationFailure.nonRetryable('Loki refuses the query', 'LogRefused'), /refuses/],
    [
      'has its readers wait for longer than anybody does',
      ApplicationFailure.create({ type: 'HttpFailed', message: 'busy', nextRetryDelay: '45 s' }),
      /^the log gave no answer within 1 min/,
    ],
  ])('that %s stops nothing', async (_, failure, why) => {
    const { outcome, findings, line } = await observe(() => Promise.reject(failure));
    expect({ outcome, findings, line }).toMatchObject({
      outcome: 'OBSERVED',
      findings: [],
      line: { status: 'failed', detail: expect.stringMatching(why) },
    });
  });
});

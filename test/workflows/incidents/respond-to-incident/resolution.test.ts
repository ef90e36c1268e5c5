import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { renderDetails } from '../../../../src/workflows/kit/current-details';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import { ILL, MINUTE, minutesOf, stopIncidents, WELL, withIncidents } from './harness';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopIncidents();
  await env?.teardown();
});

const MEND = { runbook: 'mend', input: {}, because: 'finding matches unhealthy' };
const alert = {
  source: 'prometheus',
  fingerprint: 'f1',
  startsAt: null,
  status: 'firing',
  severity: 'warning',
  title: 'Errors',
  labels: {},
  annotations: {},
  link: null,
};
const notice = (status: 'firing' | 'resolved') => ({ status, count: 1, at: '2026-11-21T03:00:00Z' });

describe('resolving', () => {
  it('is refused while the measurements do not hold, with the reason, and taken once they do', () =>
    withIncidents(env, async ({ world, open, say, finish, until }) => {
      world.measured = { ...ILL, errorRate: 0 };
      const handle = await open({ severity: 'P2' });
      world.incident = {};
      await say(handle, 'severity', { severity: 'P2', by: 'ben', reason: 'few' });
      expect(await say(handle, 'resolve', { by: 'ben', note: 'restarted' })).toMatch(
        /^REFUSED not resolved: health 1 of 2 fail \(ready: answered 503\)\. Mend that first, or let the commander/,
      );
      expect((await until(handle, () => true)).incident.resolved).toBeUndefined();
      world.measured = WELL;
      expect(await say(handle, 'resolve', { by: 'ben', note: 'restarted', rootCause: 'a leak' })).toBe(
        'resolved; health 1 of 1 well',
      );
      expect(await say(handle, 'resolve', { by: 'ben', note: 'again' })).toMatch(
        /REFUSED it is resolved since/,
      );
      expect((await until(handle, ({ incident }) => incident.actions.length > 0)).incident).toMatchObject({
        rootCause: 'a leak',
        resolved: { by: 'ben', note: 'restarted', proof: 'health 1 of 1 well' },
      });
      await handle.cancel();
      await finish(handle);
    }));

  it('is refused where nothing is measured: silence proves nothing', () =>
    withIncidents(env, async ({ world, open, say, end }) => {
      world.measured = {
        ok: false,
        health: [],
        errorRate: null,
        detail: 'nothing is configured that could be measured',
      };
      const handle = await open({ severity: 'P2' });
      expect(await say(handle, 'resolve', { by: 'ben', note: 'n' })).toMatch(
        /REFUSED not resolved: nothing is configured/,
      );
      await end(handle);
    }));

  it('can be overridden by the commander with a reason, and by nobody else', () =>
    withIncidents(env, async ({ open, say, status, end }) => {
      const handle = await open({ severity: 'P0' });
      const over = { note: 'the check is wrong', override: 'its certificate ran out' };
      expect(await say(handle, 'resolve', { ...over, by: 'ben' })).toMatch(/REFUSED nobody commands/);
      await say(handle, 'acknowledge', { by: 'ana' });
      expect(await say(handle, 'resolve', { ...over, by: 'ben' })).toMatch(
        /REFUSED only the commander \(ana\)/,
      );
      expect(await say(handle, 'resolve', { ...over, override: ' ', by: 'ana' })).toMatch(
        /REFUSED "override" needs a reason/,
      );
      expect(await say(handle, 'resolve', { ...over, by: 'Ana' })).toMatch(
        /^closed by override, although health 1 of 2 fail/,
      );
      expect((await status(handle)).incident.resolved).toMatchObject({
        override: 'its certificate ran out',
        proof: 'health 1 of 2 fail (ready: answered 503)',
      });
      await end(handle);
    }));

  it('ends the run where no post-mortem is due, with how long it took', () =>
    withIncidents(env, async ({ world, open, say, sleep, finish }) => {
      world.measured = WELL;
      const handle = await open({ severity: 'P3' });
      await sleep(3 * MINUTE);
      await say(handle, 'acknowledge', { by: 'ben' });
      await sleep(7 * MINUTE);
      await say(handle, 'resolve', { by: 'ben', note: 'typo mended' });
      const { report } = await finish(handle);
      expect(report?.outcome).toBe('SUCCEEDED');
      expect(report?.summary).toMatch(/^P3 resolved after 10 min \d+ s by ben: typo mended$/);
      expect(Math.round(Number(report?.facts['timeToAcknowledgeSeconds']) / 60)).toBe(3);
      expect(Math.round(Number(report?.facts['timeToResolveSeconds']) / 60)).toBe(10);
      // Whoever was paged hears that it is over.
      expect(world.sent.map(({ kind }) => kind)).toContain('resolved');
    }));
});

describe('the runbook of an incident', () => {
  it('is started once triage is done, and what came of it is told', () =>
    withIncidents(env, async ({ world, open, until, end }) => {
      world.match = MEND;
      const handle = await open({ severity: 'P2' });
      const { incident, timeline } = await until(
        handle,
        (now) => now.incident.runbook?.outcome !== undefined,
      );
      expect(incident.runbook).toMatchObject({
        runbook: 'mend',
        outcome: 'SUCCEEDED',
        summary: 'mended: it',
      });
      expect(timeline).toContainEqual(
        expect.objectContaining({ title: 'Runbook mend', status: 'done', detail: 'SUCCEEDED: mended: it' }),
      );
      await until(
        handle,
        (now) => minutesOf(now, /Status update \d+: the runbook ended as SUCCEEDED/).length === 1,
      );
      expect(world.sent.at(-1)?.text).toContain('runbook mend ended as SUCCEEDED: mended: it.');
      await end(handle);
    }));

  it('keeps the incident open while it runs', () =>
    withIncidents(env, async ({ world, open, say, until, end }) => {
      world.match = MEND;
      world.mend = async () => 'wait';
      const handle = await open({ severity: 'P2', alert });
      const { incident } = await until(handle, (now) => now.incident.runbook !== undefined);
      world.measured = WELL;
      expect(await say(handle, 'resolve', { by: 'ben', note: 'n' })).toMatch(
        new RegExp(`REFUSED not resolved: the runbook mend still runs \\(${incident.runbook?.workflowId}\\)`),
      );
      await end(handle);
    }));

  it('keeps the incident open when it needs a person', () =>
    withIncidents(env, async ({ world, open, say, until, end }) => {
      world.match = MEND;
      world.mend = async () => 'break';
      world.measured = WELL;
      const handle = await open({ severity: 'P2' });
      await until(handle, (now) => now.incident.runbook?.outcome === 'NEEDS_HUMAN');
      expect(await say(handle, 'resolve', { by: 'ben', note: 'n' })).toMatch(
        /REFUSED not resolved: the runbook mend needs a person: NEEDS_HUMAN: the way back failed/,
      );
      await end(handle);
    }));

  it('hears that the alert is resolved', () =>
    withIncidents(env, async ({ world, open, until, end }) => {
      world.match = MEND;
      world.mend = async () => 'wait';
      const handle = await open({ severity: 'P2', alert });
      await until(handle, (now) => now.incident.runbook !== undefined);
      await handle.signal('alert', notice('resolved'));
      await until(handle, (now) => now.incident.runbook?.outcome === 'SUCCEEDED');
      await end(handle);
    }));

  it('is cancelled with the incident, and everybody is told that nobody leads it any longer', () =>
    withIncidents(env, async ({ world, open, until, end }) => {
      world.match = MEND;
      world.mend = async () => 'wait';
      const handle = await open();
      const { incident } = await until(handle, (now) => now.incident.runbook !== undefined);
      await end(handle);
      const child = env.client.workflow.getHandle(incident.runbook?.workflowId ?? '');
      await expect(child.result()).rejects.toThrow(/cancelled/i);
      expect(world.sent.map(({ text }) => text)).toContainEqual(
        expect.stringMatching(/was ended\. Nobody leads it any longer\./),
      );
    }));
});

describe('an alert that is resolved', () => {
  it('resolves the incident in mode auto, once everything has held for the soak time', () =>
    withIncidents(env, async ({ world, open, sleep, finish }) => {
      world.policy = { ...world.policy, soakMs: 2 * MINUTE, soakEveryMs: 30_000 };
      world.incident = { postmortemFor: [] };
      const handle = await open({ alert });
      await sleep(5 * MINUTE);
      world.measured = WELL;
      await handle.signal('alert', notice('resolved'));
      const { report } = await finish(handle);
      expect(report?.incident?.resolved).toMatchObject({ by: 'the alert', proof: 'health 1 of 1 well' });
      expect(minutesOf(report ?? { timeline: [] }, 'Resolved by the alert')).toEqual([7]);
    }));

  it('resolves nothing while the measurements do not hold, or when it fires again meanwhile', () =>
    withIncidents(env, async ({ world, open, sleep, until, end }) => {
      world.policy = { ...world.policy, soakMs: 2 * MINUTE };
      const handle = await open({ severity: 'P1', alert });
      await handle.signal('alert', notice('resolved'));
      await until(handle, ({ timeline }) =>
        timeline.some(
          ({ title, status }) =>
            title === 'The alert is resolved, the incident is not' && status === 'failed',
        ),
      );
      await handle.signal('alert', notice('firing'));
      world.measured = WELL;
      await handle.signal('alert', notice('resolved'));
      await sleep(MINUTE);
      await handle.signal('alert', notice('firing'));
      await sleep(10 * MINUTE);
      expect((await until(handle, () => true)).incident.resolved).toBeUndefined();
      await end(handle);
    }));

  it('is only proposed as the end in mode propose', () =>
    withIncidents(env, async ({ world, open, until, end }) => {
      world.policy = { ...world.policy, mode: 'propose' };
      world.measured = WELL;
      const handle = await open({ severity: 'P1', alert });
      await handle.signal('alert', notice('resolved'));
      const { incident } = await until(handle, ({ timeline }) =>
        timeline.some(({ title }) => /it can be resolved$/.test(title)),
      );
      expect(incident.resolved).toBeUndefined();
      await end(handle);
    }));
});

describe('an alert that comes again', () => {
  it('calls people at once, and also where its automation may only look', () =>
    withIncidents(env, async ({ world, open, status, say, finish }) => {
      const limits = {
        windowMs: 60 * MINUTE,
        maxRecurrences: 9,
        cooldownMs: 20 * MINUTE,
        flapLimit: 0,
        maxConcurrent: 1,
      };
      world.policy = { ...world.policy, breaker: limits };
      world.incident = { postmortemFor: [] };
      world.measured = WELL;
      for (const round of [1, 2]) {
        const handle = await open({ alert: { ...alert, fingerprint: 'again' } });
        const { incident, mode } = await status(handle);
        expect([round, incident.pages, mode]).toEqual([round, 1, 'propose']);
        await say(handle, 'resolve', { by: 'ben', note: 'n' });
        expect((await finish(handle)).report?.outcome).toBe('SUCCEEDED');
      }
    }));
});

describe('mode observe', () => {
  it('measures, plans, tells nobody and starts nothing', () =>
    withIncidents(env, async ({ world, start, finish }) => {
      world.policy = { ...world.policy, mode: 'observe' };
      world.match = MEND;
      const { report } = await finish(await start());
      expect(report).toMatchObject({
        outcome: 'OBSERVED',
        plan: { actions: [{ action: expect.stringMatching(/^lead as P1/) }, { action: 'start mend' }] },
      });
      expect(world.sent).toEqual([]);
      expect(report?.incident?.runbook).toBeUndefined();
    }));
});

describe('Current Details of an incident', () => {
  it('say who leads, what is known, and which messages it takes now with the data to paste', () =>
    withIncidents(env, async ({ open, say, status, end }) => {
      const handle = await open({ severity: 'P0', impact: 'one in five fails' });
      const before = renderDetails(await status(handle));
      expect(before).toContain('## P0: Checkout fails');
      expect(before).toContain('**nobody has acknowledged**');
      expect(before).toContain('- **acknowledge** (Say that you look after it): `{"by":"<your name>"}`');
      expect(before).toContain('`{"severity":"P0","reason":"<why>","by":"<your name>"}`');
      await say(handle, 'acknowledge', { by: 'ben' });
      const after = renderDetails(await status(handle));
      expect(after).toContain('commander: **ben**');
      expect(after).toContain('impact: one in five fails');
      expect(after).not.toContain('- **acknowledge**');
      expect(encodeURIComponent(after).length).toBeLessThan(8_000);
      await end(handle);
    }));
});

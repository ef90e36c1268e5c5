import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import { MINUTE, minutesOf, stopIncidents, WELL, withIncidents } from './harness';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopIncidents();
  await env?.teardown();
});

describe('an incident that nobody acknowledges', () => {
  it('climbs the ladder by the response time of its severity, then calls the last rung less and less often', () =>
    withIncidents(env, async ({ open, sleep, until, end }) => {
      const handle = await open({ severity: 'P0' });
      await sleep(29 * MINUTE);
      const status = await until(handle, ({ incident }) => incident.pages >= 5);
      expect(minutesOf(status, 'Paged on-call')).toEqual([0]);
      expect(minutesOf(status, 'Paged lead')).toEqual([5]);
      expect(minutesOf(status, 'Paged vp')).toEqual([10, 15, 25]);
      await end(handle);
    }));

  it('claims no page and no told channel where nobody was told, and says what is missing', () =>
    withIncidents(env, async ({ world, open, status, until, sleep, end }) => {
      world.told = () => [];
      Object.assign(world.policy, { ladder: [] });
      const handle = await open({ severity: 'P1' });
      await sleep(20 * MINUTE);
      const { incident, timeline } = await status(handle);
      expect([incident.pages, incident.updates]).toEqual([0, 1]);
      const said = timeline.filter(({ title }) => /page/i.test(title));
      expect(said).toMatchObject([
        {
          title: 'Nobody is paged',
          status: 'failed',
          detail: expect.stringContaining('has no channel: add `notify`'),
        },
      ]);
      expect(timeline.find(({ title }) => title.startsWith('Status update 1'))?.detail).toContain(
        'nobody was told',
      );
      world.told = undefined;
      await sleep(2 * 60 * MINUTE);
      await until(handle, (now) => now.incident.pages > 0);
      await end(handle);
    }));

  it('is left alone by the ladder once somebody acknowledges, who then leads it', () =>
    withIncidents(env, async ({ world, open, say, sleep, status, end }) => {
      const handle = await open({ severity: 'P0' });
      await sleep(7 * MINUTE);
      expect(await say(handle, 'acknowledge', { by: 'ben' })).toBe('acknowledged by ben; commander: ben');
      expect(await say(handle, 'acknowledge', { by: 'cleo' })).toMatch(/REFUSED already acknowledged by ben/);
      await sleep(20 * MINUTE);
      const { incident } = await status(handle);
      expect(incident).toMatchObject({ pages: 2, commander: 'ben' });
      expect(world.sent.map(({ kind, rung }) => `${kind} ${rung}`)).toEqual(
        expect.arrayContaining(['page on-call', 'page lead', 'acknowledged null']),
      );
      await end(handle);
    }));

  it.each(['severity', 'update', 'resolve'])('refuses a malformed "%s" and says what is missing', (name) =>
    withIncidents(env, async ({ open, say, end }) => {
      const handle = await open();
      expect(await say(handle, name, {})).toMatch(/REFUSED .* is missing/);
      expect(
        await say(handle, name, { severity: 'P0', reason: 'r', text: 't', note: 'n', by: 'b', x: 'y' }),
      ).toMatch(/REFUSED there is no /);
      await end(handle);
    }),
  );
});

describe('escalation of an unresolved incident', () => {
  it.each([
    ['P0', 30, 95],
    ['P1', 120, 370],
  ])(
    'goes up the ladder for %s after %i minutes, and again, although it is acknowledged',
    (severity, every, for_) =>
      withIncidents(env, async ({ open, say, sleep, until, end }) => {
        const handle = await open({ severity });
        await say(handle, 'acknowledge', { by: 'ben' });
        await sleep((every - 1) * MINUTE);
        expect((await until(handle, () => true)).incident.pages).toBe(1);
        await sleep((for_ - every + 1) * MINUTE);
        const status = await until(handle, ({ incident }) => incident.pages >= 4);
        expect(minutesOf(status, 'Paged lead')).toEqual([every]);
        expect(minutesOf(status, 'Paged vp')).toEqual([2 * every, 3 * every]);
        await end(handle);
      }),
  );

  it('does not wait longer because nobody had acknowledged before', () =>
    withIncidents(env, async ({ open, say, sleep, until, end }) => {
      const handle = await open({ severity: 'P0' });
      await sleep(27 * MINUTE);
      await say(handle, 'acknowledge', { by: 'ben' });
      await sleep(4 * MINUTE);
      const status = await until(handle, ({ incident }) => incident.pages >= 6);
      expect(minutesOf(status, 'Paged vp')).toEqual([10, 15, 25, 30]);
      await end(handle);
    }));
});

describe('status updates', () => {
  it('come at the beat of the severity, and a person’s own one counts', () =>
    withIncidents(env, async ({ world, open, say, sleep, until, end }) => {
      const handle = await open({ severity: 'P1', impact: 'one in five fails', scope: 'bookings' });
      await say(handle, 'acknowledge', { by: 'ben' });
      await sleep(70 * MINUTE);
      await say(handle, 'update', { text: 'rolling back', by: 'ben' });
      await sleep(35 * MINUTE);
      const status = await until(handle, ({ incident }) => incident.updates >= 5);
      expect(minutesOf(status, 'Status update')).toEqual([0, 30, 60, 70, 100]);
      const text = world.sent.at(-1)?.text ?? '';
      for (const part of [
        'P1: Checkout fails',
        /^Started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/m,
        'Impact: one in five fails.',
        'Scope: bookings.',
        'Commander: ben.',
        'Now: rolling back (ben, ',
        'Measured: health 1 of 2 fail (ready: answered 503).',
        /^Next update by \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.$/m,
      ])
        expect(text).toMatch(part);
      expect(text).toContain(`Next update by ${status.incident.nextUpdateAt?.slice(0, 10)}`);
      await end(handle);
    }));
});

describe('the severity', () => {
  it('sets every clock anew, pages again when it gets worse, and is on the timeline with its reason', () =>
    withIncidents(env, async ({ open, say, sleep, until, end }) => {
      const handle = await open({ severity: 'P2' });
      await say(handle, 'acknowledge', { by: 'ben' });
      await sleep(40 * MINUTE);
      expect(await say(handle, 'severity', { severity: 'sev-9', by: 'ben', reason: 'x' })).toMatch(
        /REFUSED "sev-9" is no word of the scale/,
      );
      expect(
        await say(handle, 'severity', { severity: 'critical', by: 'ben', reason: 'all of them' }),
      ).toMatch(/^severity P0/);
      await sleep(16 * MINUTE);
      const status = await until(handle, ({ incident }) => incident.updates >= 4);
      // P1 as measured updates every 30 minutes; P0 every 15, and its 30 minutes were over.
      expect(minutesOf(status, 'Status update')).toEqual([0, 30, 40, 55]);
      expect(minutesOf(status, 'Paged')).toEqual([0, 40, 40]);
      expect(status.incident.severities).toMatchObject([
        { severity: 'P1', by: 'triage' },
        { severity: 'P0', by: 'ben', reason: 'all of them' },
      ]);
      expect(minutesOf(status, 'Severity P1 becomes P0')).toEqual([40]);
      await end(handle);
    }));

  it('can be lowered with a reason; a post-mortem stays due for the worst it was', () =>
    withIncidents(env, async ({ world, open, say, until, end }) => {
      const handle = await open({ severity: 'P0' });
      await say(handle, 'severity', { severity: 'P3', by: 'ben', reason: 'only the staff page' });
      world.measured = WELL;
      expect(await say(handle, 'resolve', { by: 'ben', note: 'mended' })).toMatch(/^resolved; /);
      const { incident } = await until(handle, (now) => now.incident.actions.length > 0);
      expect(incident).toMatchObject({
        severity: 'P3',
        worst: 'P0',
        postmortem: { because: 'required for P0' },
      });
      await end(handle);
    }));
});

describe('command', () => {
  it('is with the first of those configured until another of them takes it, and with nobody else', () =>
    withIncidents(env, async ({ world, open, say, status, end }) => {
      world.incident = { commanders: ['ana', 'ben'] };
      const handle = await open();
      expect((await status(handle)).incident.commander).toBe('ana');
      expect(await say(handle, 'command', { by: 'mallory' })).toMatch(/REFUSED mallory is not among those/);
      expect(await say(handle, 'command', { by: 'Ben' })).toBe('Ben commands');
      const { incident } = await status(handle);
      // Whoever takes command has seen it.
      expect(incident).toMatchObject({ commander: 'Ben', acknowledged: { by: 'Ben' } });
      await end(handle);
    }));
});

import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import { DAY, HOUR, MINUTE, stopIncidents, WELL, withIncidents, type IncidentKit } from './harness';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopIncidents();
  await env?.teardown();
});

const dayIn = async (days: number) =>
  new Date((await env.currentTimeMs()) + days * DAY).toISOString().slice(0, 10);

/** A P1 that is resolved by ben, who commands. */
async function resolved({ world, open, say, until }: IncidentKit, input: Record<string, unknown> = {}) {
  world.measured = WELL;
  const handle = await open({ severity: 'P1', ...input });
  await say(handle, 'acknowledge', { by: 'ben' });
  await say(handle, 'resolve', { by: 'ben', note: 'rolled back' });
  await until(handle, ({ incident }) => incident.actions.length > 0);
  return handle;
}

describe('the post-mortem', () => {
  it('is drafted at the resolution with standard action items, and closes the run when nothing is left to do', () =>
    withIncidents(env, async (kit) => {
      const { say, status, sleep, until, finish } = kit;
      const handle = await resolved(kit);
      const { incident } = await status(handle);
      expect(incident.actions.map(({ id, text, owner }) => `${id} ${text}: ${owner}`)).toEqual([
        'A1 Add the missing test coverage: ben',
        'A2 Improve the monitoring so that this is noticed sooner: ben',
        'A3 Update runbooks and docs where operational steps changed: ben',
      ]);
      expect(Date.parse(incident.meeting?.dueAt ?? '') - Date.parse(incident.resolved?.at ?? '')).toBe(
        48 * HOUR,
      );
      const due = await dayIn(7);
      expect(await say(handle, 'action', { text: 'Split the table', owner: 'cleo', due, by: 'ben' })).toBe(
        `A4 Split the table (cleo, due ${due})`,
      );
      expect(
        await say(handle, 'action', { action: 'A2', text: 'Alert on it', owner: 'cleo', due, by: 'ben' }),
      ).toBe(`A2 Alert on it (cleo, due ${due})`);
      await say(handle, 'fact', { field: 'rootCause', text: 'a missing index', by: 'ben' });
      const at = new Date((await env.currentTimeMs()) + 5 * HOUR).toISOString();
      expect(await say(handle, 'meeting', { at, by: 'ben' })).toMatch(/^meeting at /);
      for (const action of ['A1', 'A2', 'A3']) await say(handle, 'close-action', { action, by: 'ben' });
      await sleep(6 * HOUR);
      await until(handle, ({ summary }) => summary.startsWith('resolved; 1 thing to do: A4 Split the table'));
      expect(await say(handle, 'close-action', { action: 'a4', by: 'cleo', note: 'merged' })).toBe(
        'A4 closed; none is open',
      );
      const { report } = await finish(handle);
      expect(report?.outcome).toBe('SUCCEEDED');
      expect(report?.summary).toMatch(/^P1 resolved after .* by ben: rolled back; 4 action items closed$/);
    }));

  it('is not due for P2, but may be asked for', () =>
    withIncidents(env, async (kit) => {
      const { world, open, say, until, end } = kit;
      world.measured = WELL;
      const handle = await open({ severity: 'P2' });
      expect(await say(handle, 'ask-postmortem', { by: 'ana' })).toBe('there will be a post-mortem');
      await say(handle, 'resolve', { by: 'ben', note: 'n' });
      const { incident } = await until(handle, (now) => now.incident.actions.length > 0);
      expect(incident.postmortem?.because).toBe('ana asked for it');
      await end(handle);
    }));

  it.each([
    ['fact', { field: 'blame', text: 't' }, /"field" must be one of: impact, scope, rootCause/],
    ['fact', { field: 'mitigatedAt', text: 'yesterday' }, /must be a time with its zone/],
    ['action', { text: 't', owner: 'o', due: '2026-02-30' }, /"due" must be a day/],
    ['action', { text: 't', owner: 'o', due: '2001-01-01' }, /"due" is over/],
    [
      'action',
      { text: 't', owner: 'o', due: '2101-01-01', action: 'A9' },
      /there is no action item A9; there are: A1, A2, A3/,
    ],
    ['close-action', { action: 'A9' }, /there is no action item A9/],
    ['meeting', { at: '2026-02-01 14:00' }, /must be a time with its zone/],
    ['ask-postmortem', {}, /there will be one already/],
    ['acknowledge', {}, /it is resolved since/],
  ])('refuses %s %j', (name, words, message) =>
    withIncidents(env, async (kit) => {
      refusing ??= await resolved(kit);
      expect(await kit.say(refusing, name, { ...words, by: 'ben' })).toMatch(message);
    }),
  );
  let refusing: Awaited<ReturnType<typeof resolved>> | undefined;
});

describe('reminders', () => {
  it('name what is open and overdue, and that the meeting is not scheduled within its time', () =>
    withIncidents(env, async (kit) => {
      const { world, sleep, until, end } = kit;
      const handle = await resolved(kit);
      world.sent.length = 0;
      await sleep(25 * HOUR);
      await until(handle, ({ incident }) => incident.reminders >= 1);
      expect(world.sent[0]?.text).toMatch(
        /Still to do:\n- the root cause is not written down\n- the post-mortem meeting is not scheduled; due by/,
      );
      await sleep(24 * HOUR);
      await until(handle, ({ incident }) => incident.reminders >= 2);
      expect(world.sent.at(-1)?.text).toMatch(/OVERDUE: the post-mortem meeting is not scheduled/);
      await sleep(20 * DAY);
      await until(handle, ({ incident }) => incident.reminders >= 15);
      expect(world.sent.at(-1)?.text).toMatch(/OVERDUE: A1 Add the missing test coverage \(ben, due /);
      await end(handle);
    }));

  it('come daily for two weeks, then weekly, until every item is closed: six weeks fit into a small history', () =>
    withIncidents(env, async (kit) => {
      const { say, sleep, until, finish } = kit;
      const handle = await resolved(kit);
      await sleep(42 * DAY);
      const { incident } = await until(handle, (now) => now.incident.reminders >= 17);
      expect(incident.reminders).toBeLessThanOrEqual(20);
      expect((await handle.describe()).historyLength).toBeLessThan(500);
      await say(handle, 'fact', { field: 'rootCause', text: 'found', by: 'ben' });
      await say(handle, 'meeting', {
        at: new Date((await env.currentTimeMs()) - DAY).toISOString(),
        by: 'ben',
      });
      for (const action of ['A1', 'A2', 'A3']) await say(handle, 'close-action', { action, by: 'ben' });
      expect((await finish(handle)).report?.outcome).toBe('SUCCEEDED');
    }));
});

describe('an incident that was not over', () => {
  const notice = (status: 'firing' | 'resolved') => ({ status, count: 1, at: '2026-11-21T03:00:00Z' });

  it('is reopened when its alert fires again, and somebody must acknowledge anew', () =>
    withIncidents(env, async (kit) => {
      const { world, say, status, sleep, until, end } = kit;
      const handle = await resolved(kit);
      // Repeats of an alert that was never resolved prove nothing.
      await handle.signal('alert', notice('firing'));
      expect((await status(handle)).incident.reopened).toEqual([]);
      await handle.signal('alert', notice('resolved'));
      await handle.signal('alert', notice('firing'));
      await until(handle, ({ incident }) => incident.reopened.length === 1 && incident.pages === 2);
      await sleep(61 * MINUTE);
      expect(
        (await until(handle, ({ incident }) => incident.pages === 3)).incident.acknowledged,
      ).toBeUndefined();
      await say(handle, 'acknowledge', { by: 'cleo' });
      await say(handle, 'resolve', { by: 'cleo', note: 'now really' });
      const { incident } = await until(handle, (now) => now.incident.resolved !== undefined);
      // Its post-mortem goes on where it was.
      expect(incident.actions).toHaveLength(3);
      expect(world.sent.filter(({ kind }) => kind === 'page')).toHaveLength(3);
      await end(handle);
    }));

  it('is reopened when something else of its group begins after people have resolved it', () =>
    withIncidents(env, async (kit) => {
      const handle = await resolved(kit);
      const { incident } = await kit.status(handle);
      const after = new Date(Date.parse(incident.resolved!.at) + MINUTE).toISOString();
      const before = new Date(Date.parse(incident.resolved!.at) - MINUTE).toISOString();
      await handle.signal('alert', { ...notice('firing'), startsAt: before });
      expect((await kit.status(handle)).incident.reopened).toEqual([]);
      await handle.signal('alert', { ...notice('firing'), startsAt: after });
      await kit.until(handle, (now) => now.incident.reopened.length === 1 && now.incident.pages === 2);
      await kit.end(handle);
    }));

  it('hears from a run what is wrong now, and pages with that; the words of a person stay', () =>
    withIncidents(env, async (kit) => {
      const handle = await resolved(kit, { impact: 'lock waits red: 40.0 s' });
      const news = async (text: string) => {
        const startsAt = new Date((await env.currentTimeMs()) + MINUTE).toISOString();
        await handle.signal('alert', { ...notice('firing'), startsAt, news: text });
      };
      await news('backups red: 3 days old');
      const { incident, timeline } = await kit.until(handle, (now) => now.incident.pages === 2);
      expect(incident.impact).toBe('backups red: 3 days old');
      expect(timeline).toContainEqual(
        expect.objectContaining({ title: 'There is more of it', detail: 'backups red: 3 days old' }),
      );
      expect(kit.world.sent.findLast(({ kind }) => kind === 'page')?.text).toMatch(/Impact: backups red/);
      await kit.say(handle, 'fact', { field: 'impact', text: 'nobody, so far', by: 'ben' });
      await news('backups red: 4 days old');
      const later = await kit.until(handle, (now) => JSON.stringify(now.timeline).includes('4 days old'));
      expect(later.incident.impact).toBe('nobody, so far');
      await kit.end(handle);
    }));

  it('is reopened by a person with a reason', () =>
    withIncidents(env, async (kit) => {
      const handle = await resolved(kit);
      expect(await kit.say(handle, 'reopen', { by: 'ana', reason: 'customers call again' })).toMatch(
        /^open again/,
      );
      const { incident } = await kit.until(handle, (now) => now.incident.pages === 2);
      expect(incident).toMatchObject({ reopened: [{ by: 'ana', reason: 'customers call again' }] });
      await kit.end(handle);
    }));
});

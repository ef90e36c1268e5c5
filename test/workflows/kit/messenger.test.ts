import { ApplicationFailure } from '@temporalio/common';
import { createAnnounceActivities } from '../../../src/activities/notifications/announce';
import type { Announcement, AnnounceResult } from '../../../src/activities/notifications/message';
import { configWith, startReceiver } from '../../activities/notifications/receiver';
import { createDevEnvironment } from '../../support/dev-server';
import { useEnvironment, withKit, type TestWorld } from './harness';

const env = useEnvironment(createDevEnvironment);

/** Keeps what a run sends; `reached` says which rung has somebody. */
function listen(world: TestWorld, reached: (rung: string | null) => boolean = () => true): Announcement[] {
  const sent: Announcement[] = [];
  world.announce = async (one): Promise<AnnounceResult> => {
    sent.push(one);
    if (!reached(one.rung)) return { told: [], problems: [`${one.rung}: no answer`] };
    const channel = one.rung ?? 'chat';
    return {
      told: [channel],
      problems: [],
      threads: { [channel]: one.threads?.[channel] ?? `ts-${sent.length}` },
    };
  };
  return sent;
}

async function arrived(sent: Announcement[], count: number): Promise<void> {
  for (let tries = 0; sent.length < count && tries < 6_000; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

const ill = async () => ({ ok: false, detail: 'still down' });
const broken = async (): Promise<never> => {
  throw ApplicationFailure.nonRetryable('disk full', 'Broken');
};

describe('an announcement', () => {
  it('does not stand for ever: every channel hears how a run ended that does not say so itself', () =>
    withKit(env, async ({ world, run }) => {
      const sent = listen(world);
      world.acts.check = ill;
      const { failure } = await run('maintaining');
      expect(failure?.type).toBe('ROLLED_BACK');
      expect(sent).toMatchObject([
        { kind: 'status', rung: null, text: 'no writes are taken until this is done' },
        { kind: 'status', rung: null, text: expect.stringMatching(/^ROLLED_BACK: .*still down/) },
      ]);
    }));
});

describe('a message that no channel takes', () => {
  it('is on the timeline', () =>
    withKit(env, async ({ world, run }) => {
      world.announce = async () => ({ told: [], problems: [] });
      const { report } = await run('paging');
      expect(report?.timeline.filter(({ title }) => title === 'Nobody was told')).toMatchObject([
        { detail: 'no channel of booking takes this: it looks bad' },
      ]);
    }));
});

describe('a page', () => {
  it('is told to be taken, and over when its run is, to those who got it', () =>
    withKit(env, async ({ world, run }) => {
      const sent = listen(world);
      const { report } = await run('paging');
      expect(report?.outcome).toBe('SUCCEEDED');
      expect(sent).toMatchObject([
        { kind: 'status', rung: null, text: 'it looks bad' },
        { kind: 'page', rung: 'on-call', severity: 'P0', text: 'the site is down' },
        { kind: 'acknowledged', channels: ['on-call'], severity: 'P0', text: 'ana has it' },
        { kind: 'resolved', channels: ['on-call'], severity: 'P0', text: 'SUCCEEDED: up again' },
      ]);
    }));

  it('hangs on to the thread that its incident has in each channel', () =>
    withKit(env, async ({ world, run }) => {
      const sent = listen(world);
      await run('paging');
      expect(sent.map(({ threads }) => threads)).toEqual([
        {},
        { chat: 'ts-1' },
        { chat: 'ts-1', 'on-call': 'ts-2' },
        { chat: 'ts-1', 'on-call': 'ts-2' },
      ]);
    }));

  it('has the severity of its runbook where none is said', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { priority: 'P3' };
      const sent = listen(world);
      await run('pagingAgain');
      expect(sent[0]?.severity).toBe('P3');
    }));

  it('that reached nobody goes up the ladder at once', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { ladder: ['on-call', 'lead', 'head'] };
      const sent = listen(world, (rung) => rung === 'head');
      const { report } = await run('paging');
      expect(sent.filter(({ kind }) => kind === 'page').map(({ rung }) => rung)).toEqual([
        'on-call',
        'lead',
        'head',
      ]);
      expect(sent.at(-1)).toMatchObject({ kind: 'resolved', channels: ['head'] });
      const titles = report?.timeline.map(({ title }) => title) ?? [];
      expect(titles).toContain('Nobody could be told at on-call');
      expect(titles).not.toContain('Nobody could be reached');
    }));

  it('that reached nobody while a question waits does not wait for the next rung', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      const sent = listen(world, (rung) => rung === 'lead');
      const handle = await start('fiveMovements');
      const { id } = await waiting(handle);
      await arrived(sent, 2);
      // The clock of this environment stands still: a quarter of an hour has not passed.
      expect(sent.map(({ rung }) => rung)).toEqual(['on-call', 'lead']);
      await handle.executeUpdate('approve', { args: [{ plan: id, by: 'ben' }] });
      expect((await finish(handle)).report?.outcome).toBe('SUCCEEDED');
    }));

  it('that reaches nobody at all is on the timeline, once, and does not fail the run', () =>
    withKit(env, async ({ world, run }) => {
      const sent = listen(world, () => false);
      const { report } = await run('pagingAgain');
      expect(report?.outcome).toBe('SUCCEEDED');
      expect(sent.filter(({ kind }) => kind === 'page').map(({ rung }) => rung)).toEqual([
        'on-call',
        'lead',
        'lead',
        'lead',
      ]);
      const noted = report?.timeline.filter(({ title }) => title === 'Nobody could be reached');
      expect(noted).toMatchObject([{ detail: 'the site is down' }]);
    }));

  it('goes to every channel where there is no ladder, and where there is no channel the timeline says so once', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { ladder: [] };
      const sent = listen(world);
      await run('pagingAgain');
      expect(sent[0]).toMatchObject({ kind: 'page', rung: null });
      world.announce = async (one) => {
        sent.push(one);
        return { told: [], problems: [] };
      };
      sent.length = 0;
      const { report } = await run('pagingAgain');
      expect(sent.map(({ kind }) => kind)).toEqual(['page', 'page', 'page']);
      expect(report?.timeline.map(({ title }) => title)).not.toContain('Nobody could be reached');
      expect(report?.timeline.filter(({ title }) => title === 'Nobody was called')).toMatchObject([
        { status: 'note', detail: 'booking has no channel: the site is down' },
      ]);
    }));
});

describe('the page of a run that ended as', () => {
  it('ROLLED_BACK is over', () =>
    withKit(env, async ({ world, run }) => {
      world.acts.check = ill;
      const sent = listen(world);
      expect((await run('paging')).failure?.type).toBe('ROLLED_BACK');
      expect(sent.at(-1)).toMatchObject({
        kind: 'resolved',
        text: expect.stringMatching(/^ROLLED_BACK: It helped: still down/),
      });
    }));

  it('REJECTED is over', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      const sent = listen(world);
      const handle = await start('fiveMovements');
      const { id } = await waiting(handle);
      await handle.executeUpdate('reject', { args: [{ plan: id, by: 'ben' }] });
      expect((await finish(handle)).failure?.type).toBe('REJECTED');
      expect(sent.at(-1)).toMatchObject({ kind: 'resolved' });
    }));

  it('FAILED stays open: nobody has done anything about it', () =>
    withKit(env, async ({ world, run }) => {
      const sent = listen(world);
      world.acts.look = broken;
      expect((await run('pagingAndLooking')).failure?.type).toBe('FAILED');
      expect(sent.map(({ kind }) => kind)).toEqual(['page']);
    }));

  it('NEEDS_HUMAN stays open', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      Object.assign(world.acts, { check: ill, changeBack: broken });
      const sent = listen(world);
      const handle = await start('paging');
      const { id } = await waiting(handle, 'task');
      await handle.executeUpdate('done', { args: [{ task: id, by: 'ben', note: 'mended' }] });
      expect((await finish(handle)).failure?.type).toBe('NEEDS_HUMAN');
      expect(sent.some(({ kind }) => kind === 'resolved')).toBe(false);
    }));

  it('CANCELLED is over, although the run is being cancelled', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      const sent = listen(world);
      const handle = await start('fiveMovements');
      await waiting(handle);
      await arrived(sent, 1);
      await handle.cancel();
      await finish(handle);
      expect(sent.at(-1)).toMatchObject({ kind: 'resolved', text: expect.stringMatching(/^CANCELLED/) });
    }));
});

describe('a run that paged nobody', () => {
  it('says nothing at its end', () =>
    withKit(env, async ({ world, run }) => {
      const sent = listen(world);
      await run('announcing');
      expect(sent.map(({ kind }) => kind)).toEqual(['status']);
    }));
});

describe('a run with real channels', () => {
  it('has one thread in Slack and one alert in PagerDuty, from its page to its end', () =>
    withKit(env, async ({ world, run }) => {
      const receiver = await startReceiver();
      try {
        receiver.reply = ({ path }, count) =>
          path === '/v2/enqueue' ? { status: 202 } : { body: JSON.stringify({ ok: true, ts: `${count}.1` }) };
        const apiUrl = receiver.base;
        const notify = [
          { kind: 'slack-app', name: 'chat', token: 'xoxb-1', channel: 'C1', apiUrl },
          { kind: 'pagerduty', name: 'pager', routingKey: 'a-routing-key', apiUrl },
        ];
        const escalation = [{ name: 'on-call', notify: ['chat', 'pager'] }];
        const { announce } = createAnnounceActivities({ config: configWith({ notify, escalation }) });
        world.policy = { service: 'shop' };
        world.announce = announce;
        const { report } = await run('paging');
        const [chat, pager] = ['/chat.postMessage', '/v2/enqueue'].map((wanted) =>
          receiver.received.filter(({ path }) => path === wanted).map(({ body }) => body),
        );
        expect(chat?.map(({ thread_ts }) => thread_ts)).toEqual([undefined, '1.1', '1.1', '1.1']);
        expect(pager?.map(({ event_action }) => event_action)).toEqual(['trigger', 'acknowledge', 'resolve']);
        expect(new Set(pager?.map(({ dedup_key }) => dedup_key))).toEqual(new Set([report?.workflowId]));
      } finally {
        await receiver.close();
      }
    }));
});

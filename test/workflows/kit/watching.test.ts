import { useEnvironment, withKit } from './harness';

const env = useEnvironment();

const RESOLVED = { status: 'resolved', count: 1, at: '2026-11-21T03:50:12.000Z' };

/** Holds from that look on. */
function holdsFrom(look: number): {
  looks: () => number;
  check: () => Promise<{ ok: boolean; detail: string }>;
} {
  let looks = 0;
  return {
    looks: () => looks,
    check: async () => {
      looks += 1;
      return { ok: looks >= look, detail: `look ${looks}` };
    },
  };
}

describe('a question that may answer itself', () => {
  it('is no longer asked when what it is about is over', () =>
    withKit(env, async ({ world, run }) => {
      const { looks, check } = holdsFrom(3);
      world.acts.check = check;
      const { report } = await run('watching');
      expect(report).toMatchObject({ outcome: 'NOTHING_TO_DO', summary: 'it is over' });
      expect(looks()).toBe(3);
    }));

  it('takes an answer as long as it is not, and so does a task that nobody says is done', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.acts.check = async () => ({ ok: false, detail: 'not yet' });
      const handle = await start('watching');
      const { id } = await waiting(handle, 'decision');
      await handle.executeUpdate('decide', { args: [{ question: id, choice: 'left', by: 'ben' }] });
      await waiting(handle, 'task');
      world.acts.check = async () => ({ ok: true, detail: 'over' });
      const { report } = await finish(handle);
      expect(report).toMatchObject({ outcome: 'SUCCEEDED', summary: 'went left, and it is over' });
      const last = report!.timeline.filter(({ title }) => title === 'Is it over?');
      // One line, however often it was looked at.
      expect(last).toMatchObject([{ status: 'done', detail: 'over' }]);
    }));

  it('is looked at once when its alert is resolved', () =>
    withKit(env, async ({ world, start, waiting, until }) => {
      world.acts.check = async () => ({ ok: true, detail: 'over' });
      const handle = await start('watching');
      await waiting(handle, 'decision');
      await handle.signal('alert', RESOLVED);
      // Nothing moves the clock here, so no timer rings.
      expect((await until(handle, ({ outcome }) => outcome !== undefined)).outcome).toBe('NOTHING_TO_DO');
    }));

  it('expires as before where it is never over', () =>
    withKit(env, async ({ world, run }) => {
      world.acts.check = async () => ({ ok: false, detail: 'not yet' });
      const { failure } = await run('watching');
      expect(failure).toMatchObject({
        type: 'REJECTED',
        message: expect.stringContaining('nobody decided in time') as string,
      });
    }));
});

describe('a run within another one', () => {
  it('hears that the alert of the other one is resolved', () =>
    withKit(env, async ({ world, start, finish, until }) => {
      let looked = 0;
      world.acts.look = async () => ({ value: (looked += 1) });
      const handle = await start('leading');
      const { timeline } = await until(handle, (status) =>
        status.timeline.some(({ detail }) => detail?.includes('/fiveMovements-')),
      );
      const id = timeline.find(({ detail }) => detail?.includes('/fiveMovements-'))!.detail as string;
      const child = env.client.workflow.getHandle(id);
      const first = await until(child, ({ waiting }) => waiting.length === 1);
      await handle.signal('alert', RESOLVED);
      // Its plan is made again, and waits under another hash.
      const again = await until(
        child,
        ({ waiting }) => waiting[0] !== undefined && waiting[0].id !== first.waiting[0]!.id,
      );
      expect(again.timeline.map(({ title }) => title)).toContain('The alert is resolved');
      await child.executeUpdate('reject', { args: [{ plan: again.waiting[0]!.id, by: 'ben' }] });
      expect((await finish(handle)).report?.summary).toBe('the other one ended as REJECTED');
    }));
});

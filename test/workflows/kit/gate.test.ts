import type { WorkflowHandle } from '@temporalio/client';
import { searchAttributes } from '../../../src/contract/search-attributes';
import { useEnvironment, withKit } from './harness';

const env = useEnvironment();

/** The answer of an Update, or why it was refused. */
async function update(handle: WorkflowHandle, name: string, words: unknown): Promise<string> {
  try {
    return await handle.executeUpdate<string, [unknown]>(name, { args: [words] });
  } catch (error) {
    const { cause, message } = error as Error & { cause?: Error };
    return `REFUSED ${cause?.message ?? message}`;
  }
}

describe('the gate', () => {
  it('stops in mode observe with the plan and changes nothing', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { mode: 'observe' };
      const { report } = await run('fiveMovements');
      expect(report).toMatchObject({
        outcome: 'OBSERVED',
        plan: { actions: [{ action: 'change', target: 'a', count: 1 }] },
      });
      expect(world.log).toEqual([]);
    }));

  it('goes on by itself in mode auto', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { mode: 'auto' };
      const { report } = await run('fiveMovements');
      expect(report?.outcome).toBe('SUCCEEDED');
      expect(world.log).toEqual(['change a', 'change b']);
    }));

  it('waits for an approval of exactly its hash and says who gave it', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      const handle = await start('fiveMovements');
      const { id, update: wanted } = await waiting(handle);
      expect(wanted).toEqual({ name: 'approve', argument: { plan: id, by: '<your name>' } });
      expect(await update(handle, 'approve', { plan: '000000000000', by: 'ben' })).toMatch(
        /REFUSED.*not what this run waits for/,
      );
      expect(world.log.filter((line) => line.startsWith('change'))).toEqual([]);
      const waitingFor = async () =>
        (await handle.describe()).typedSearchAttributes.get(searchAttributes.waiting);
      expect(await waitingFor()).toBe('approval');
      expect(await update(handle, 'approve', { plan: id, by: 'ben', note: 'go' })).toBe(
        'approve by ben taken',
      );
      const { report } = await finish(handle);
      expect(report).toMatchObject({
        outcome: 'SUCCEEDED',
        approvals: [{ plan: id, by: 'ben', note: 'go' }],
      });
      expect(await waitingFor()).toBeUndefined();
    }));

  it.each([
    [null, /expected a JSON object/],
    [{}, /"plan" is missing/],
    [{ plan: 7, by: 'ben' }, /"plan" must be text/],
    [{ plan: 'PLAN', by: '' }, /"by" is missing/],
    [{ plan: 'PLAN', by: '<your name>' }, /replace <your name>/],
    [{ plan: 'PLAN', by: 'b'.repeat(3_000) }, /longer than 2000/],
  ])('refuses an approval of the shape %j', (words, message) =>
    withKit(env, async ({ start, waiting }) => {
      const handle = await start('fiveMovements');
      const { id } = await waiting(handle);
      const filled =
        words !== null && 'plan' in words && words.plan === 'PLAN' ? { ...words, plan: id } : words;
      expect(await update(handle, 'approve', filled)).toMatch(message);
      await handle.terminate();
    }),
  );

  it('lets nobody approve a run that they started, when four eyes are demanded, but lets them reject it', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.policy = { fourEyes: true };
      const handle = await start('fiveMovements');
      const { id } = await waiting(handle);
      expect(await update(handle, 'approve', { plan: id, by: ' Ana ' })).toMatch(/four eyes/);
      expect(await update(handle, 'reject', { plan: id, by: 'ana', note: 'my mistake' })).toBe(
        'reject by ana taken',
      );
      const { failure } = await finish(handle);
      expect(failure?.type).toBe('REJECTED');
      expect(failure?.message).toMatch(/ana rejected plan .*my mistake/);
      expect(world.log.filter((line) => line.startsWith('change'))).toEqual([]);
    }));

  it('lets nobody approve a run that they had its schedule start, when four eyes are demanded', () =>
    withKit(env, async ({ world, start, waiting, until, finish }) => {
      world.policy = { fourEyes: true };
      world.startedBy = 'schedule:nightly';
      const handle = await start('fiveMovements');
      await handle.signal('triggered', { by: 'ben' });
      await handle.signal('triggered', { by: 'cleo' });
      const { triggeredBy } = await until(handle, (status) => status.triggeredBy !== undefined);
      expect(triggeredBy).toBe('ben');
      const { id } = await waiting(handle);
      expect(await update(handle, 'approve', { plan: id, by: 'Ben' })).toMatch(/Ben triggered the schedule/);
      expect(await update(handle, 'approve', { plan: id, by: 'cleo' })).toMatch(/taken/);
      expect((await finish(handle)).report?.outcome).toBe('SUCCEEDED');
    }));

  it('takes approvals only from the configured approvers', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.policy = { approvers: ['ben', 'cleo'] };
      const handle = await start('fiveMovements');
      const { id } = await waiting(handle);
      expect(await update(handle, 'approve', { plan: id, by: 'mallory' })).toMatch(/not among the approvers/);
      expect(await update(handle, 'approve', { plan: id, by: 'cleo' })).toMatch(/taken/);
      expect((await finish(handle)).report?.outcome).toBe('SUCCEEDED');
    }));

  it('lets the first decision win', () =>
    withKit(env, async ({ start, waiting, finish }) => {
      const handle = await start('fiveMovements');
      const { id } = await waiting(handle);
      const answers = await Promise.all([
        update(handle, 'approve', { plan: id, by: 'ben' }),
        update(handle, 'reject', { plan: id, by: 'cleo' }),
      ]);
      expect(answers.filter((answer) => answer.endsWith('taken'))).toHaveLength(1);
      const { report } = await finish(handle);
      expect(report?.outcome).toBe(answers[0]?.endsWith('taken') ? 'SUCCEEDED' : 'REJECTED');
    }));

  it('denies when nobody answers in time, after telling every rung of the ladder', () =>
    withKit(env, async ({ world, run }) => {
      world.policy = { approvalExpiresMs: 3_700_000, escalateAfterMs: 15 * 60_000 };
      const { failure, report } = await run('fiveMovements');
      expect(failure?.type).toBe('REJECTED');
      expect(failure?.message).toMatch(/^REJECTED: nobody approved plan/);
      expect(world.log).toEqual(['told on-call', 'told lead', 'told lead', 'told lead', 'page resolved']);
      const waited = report?.timeline.find(({ title }) => title.startsWith('Approval'));
      expect(Date.parse(waited?.endedAt ?? '') - Date.parse(waited?.startedAt ?? '')).toBeGreaterThanOrEqual(
        3_600_000,
      );
    }));

  it('takes no answer between expiry and close, nor after the run has ended', () =>
    withKit(env, async ({ world, start, waiting, finish, until }) => {
      world.policy = { approvalExpiresMs: 60_000, escalateAfterMs: 120_000 };
      let close = (): void => undefined;
      const closing = new Promise<void>((resolve) => (close = resolve));
      const announce = world.announce;
      // What the run does last, so it is still open while this takes its time.
      world.announce = async (input) => {
        if (input.kind === 'resolved') await closing;
        return announce(input);
      };
      const handle = await start('fiveMovements');
      const { id } = await waiting(handle);
      await env.sleep(61_000);
      await until(handle, ({ outcome }) => outcome === 'REJECTED');
      expect((await handle.describe()).status.name).toBe('RUNNING');
      expect(await update(handle, 'approve', { plan: id, by: 'ben' })).toMatch(/REFUSED.*does not wait/);
      close();
      expect((await finish(handle)).failure?.message).toMatch(/^REJECTED: nobody approved plan/);
      expect(await update(handle, 'approve', { plan: id, by: 'ben' })).toMatch(/REFUSED/);
    }));

  it('voids an approval when the facts changed meanwhile, and asks for the new plan', () =>
    withKit(env, async ({ world, start, waiting, finish, until }) => {
      let value = 1;
      world.acts.look = async () => ({ value });
      const handle = await start('fiveMovements');
      const first = await waiting(handle);
      value = 2;
      await update(handle, 'approve', { plan: first.id, by: 'ben' });
      const { waiting: open } = await until(handle, (status) =>
        status.waiting.some(({ id }) => id !== first.id),
      );
      expect(world.log.filter((line) => line.startsWith('change'))).toEqual([]);
      expect(await update(handle, 'approve', { plan: first.id, by: 'ben' })).toMatch(/REFUSED/);
      await update(handle, 'approve', { plan: open[0]?.id, by: 'ben' });
      const { report } = await finish(handle);
      expect(report?.timeline.map(({ title }) => title)).toContain(`Approval of plan ${first.id} is void`);
      expect(report?.plan?.actions[0]?.count).toBe(2);
    }));
});

it('an approval is void where another plan was made to have the same hash', () =>
  withKit(env, async ({ world, start, waiting, finish, until }) => {
    // Of 24 million plans these two have one hash of 12 digits: to find such a pair takes a minute.
    let value = 9_053_314;
    world.acts.look = async () => ({ value });
    const handle = await start('fiveMovements');
    const { id } = await waiting(handle);
    expect(id).toBe('e45e167f8982');
    value = 10_388_490;
    await update(handle, 'approve', { plan: id, by: 'ben' });
    const { plan, timeline } = await until(
      handle,
      (now) => now.waiting.length > 0 || now.endedAt !== undefined,
    );
    expect(plan).toMatchObject({ hash: id, actions: [{ count: value }] });
    expect(timeline.at(-2)?.title).toBe(`Approval of plan ${id} is void`);
    expect(world.log.filter((line) => line.startsWith('change'))).toEqual([]);
    await handle.cancel();
    await finish(handle);
  }));

describe('questions and tasks', () => {
  it('take the first valid choice, refuse others, and check the work', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      let turned = false;
      world.acts.check = async () => ({ ok: turned, detail: turned ? 'turned' : 'not turned' });
      const handle = await start('asking');
      const question = await waiting(handle, 'decision');
      expect(await update(handle, 'decide', { question: question.id, choice: 'up', by: 'ben' })).toMatch(
        /must be one of: left, right/,
      );
      expect(await update(handle, 'done', { task: question.id, by: 'ben' })).toMatch(
        /does not wait for an answer of this kind/,
      );
      await update(handle, 'decide', { question: question.id, choice: 'left', by: 'ben' });
      const first = await waiting(handle, 'task');
      await update(handle, 'done', { task: first.id, by: 'ben' });
      const again = await waiting(handle, 'task').then(async () => {
        for (;;) {
          const open = await waiting(handle, 'task');
          if (open.id !== first.id) return open;
        }
      });
      expect(again.question).toMatch(/Still not right \(not turned\)/);
      turned = true;
      await update(handle, 'done', { task: again.id, by: 'ben' });
      expect((await finish(handle)).report?.summary).toBe('went left');
    }));

  it('take a choice that lets something happen only from approvers, and not from who started the run', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.policy = { approvers: ['ana', 'ben'], fourEyes: true };
      const handle = await start('asking');
      const { id } = await waiting(handle, 'decision');
      const decide = (choice: string, by: string) => update(handle, 'decide', { question: id, choice, by });
      expect(await decide('left', 'mallory')).toMatch(/mallory is not among the approvers/);
      expect(await decide('left', 'Ana')).toMatch(/four eyes/);
      expect(await decide('left', 'ben')).toMatch(/taken/);
      await update(handle, 'done', { task: (await waiting(handle, 'task')).id, by: 'mallory' });
      expect((await finish(handle)).report?.summary).toBe('went left');
    }));

  it('take a choice that changes nothing from anybody', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.policy = { approvers: ['ben'], fourEyes: true };
      const handle = await start('asking');
      const { id } = await waiting(handle, 'decision');
      expect(await update(handle, 'decide', { question: id, choice: 'right', by: 'ana' })).toMatch(/taken/);
      await update(handle, 'done', { task: (await waiting(handle, 'task')).id, by: 'ana' });
      expect((await finish(handle)).report?.summary).toBe('went right');
    }));

  it('take the word that a task is done only from approvers where nothing checks it', () =>
    withKit(env, async ({ world, start, waiting, finish }) => {
      world.policy = { approvers: ['ben'] };
      const handle = await start('exploding');
      const { id } = await waiting(handle, 'task');
      expect(await update(handle, 'done', { task: id, by: 'mallory' })).toMatch(/not among the approvers/);
      expect(await update(handle, 'done', { task: id, by: 'ben' })).toMatch(/taken/);
      expect((await finish(handle)).report?.summary).toBe('survived');
    }));

  it('expire as a no', () =>
    withKit(env, async ({ run }) => {
      expect((await run('asking')).failure?.message).toMatch(
        /^REJECTED: nobody decided in time: Left or right\?/,
      );
    }));
});

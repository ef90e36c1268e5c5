import { ApplicationFailure } from '@temporalio/common';
import type { RunStatus } from '../../../src/contract/report';
import type { GuardState } from '../../../src/contract/guard';
import { useEnvironment, withKit, type Kit } from './harness';

const env = useEnvironment();

const leave = async ({ start, finish }: Kit, parts: string, input: Record<string, unknown> = {}) =>
  finish(await start('leaving', undefined, { parts, ...input }));

const ALERT = {
  source: 'test',
  fingerprint: 'pool',
  startsAt: null,
  status: 'firing',
  severity: 'critical',
  title: 'too many connections',
  labels: {},
  annotations: {},
  link: null,
};

describe('what must not wait for a repair', () => {
  const question =
    'Writes are stopped, and going back stopped before that: c is half restored. Resume writes now?';

  it.each([
    ['Resume writes', ['change stop', 'change restored c', 'change resume']],
    ['leave it', ['change stop', 'change restored c']],
  ])('is offered at once, and the answer "%s" is followed', (choice, log) =>
    withKit(env, async (kit) => {
      const handle = await kit.start('leaving', undefined, { parts: 'stopped stuck fail' });
      const offered = await kit.waiting(handle, 'decision');
      expect(offered).toMatchObject({ question, choices: ['Resume writes', 'leave it'] });
      await handle.executeUpdate('decide', { args: [{ question: offered.id, choice, by: 'ana' }] });
      const repair = await kit.waiting(handle, 'task');
      expect(kit.world.log.filter((line) => line.startsWith('change'))).toEqual(log);
      await handle.executeUpdate('done', { args: [{ task: repair.id, by: 'ana', note: 'seen to' }] });
      const { failure } = await kit.finish(handle);
      expect(failure?.type).toBe('NEEDS_HUMAN');
    }),
  );

  it('is not offered where it was taken back before', () =>
    withKit(env, async (kit) => {
      const handle = await kit.start('leaving', undefined, { parts: 'stopped resumed stuck fail' });
      await kit.waiting(handle, 'task');
      const status = await handle.query<RunStatus>('status');
      expect(status.timeline.map(({ title }) => title)).not.toContain('Decision');
      await handle.terminate();
    }));
});

describe('a run that does not reach its end', () => {
  it.each([
    ['sessions fail', 'PARTIAL', 'FAILED', 'ill (Error); changed and not undone: sessions were ended'],
    [
      'sessions refuse',
      'PARTIAL',
      'REJECTED',
      'a person said no; changed and not undone: sessions were ended',
    ],
    ['kept fail', 'PARTIAL', 'FAILED', 'ill (Error); changed and not undone: Change a'],
    ['atomic fail', 'PARTIAL', 'FAILED', 'ill (Error); changed and not undone: Add column'],
    [
      'sessions undo fail',
      'PARTIAL',
      'ROLLED_BACK',
      'ill (Error); changed and not undone: sessions were ended',
    ],
    ['leased', 'PARTIAL', 'ROLLED_BACK', 'ill (Error); changed and not undone: sessions were ended'],
    ['child fail', 'PARTIAL', 'FAILED', 'ill (Error); changed and not undone: leaving: sessions were ended'],
    [
      'restored fail',
      'PARTIAL',
      'ROLLED_BACK',
      'ill (Error); changed and not undone: b was restored; writes since noon are lost',
    ],
    ['broken undo fail', 'ROLLED_BACK', undefined, 'ill (Error)'],
    ['nested fail', 'ROLLED_BACK', undefined, 'ill (Error)'],
    ['backup fail', 'FAILED', undefined, 'ill (Error); beside it stays: backup b-1'],
    ['backup refuse', 'REJECTED', undefined, 'a person said no; beside it stays: backup b-1'],
    ['copy fail', 'FAILED', undefined, 'ill (Error)'],
    ['undo fail', 'ROLLED_BACK', undefined, 'ill (Error)'],
    ['undo covered fail', 'ROLLED_BACK', undefined, 'ill (Error)'],
    ['kept back fail', 'FAILED', undefined, 'ill (Error)'],
    ['kept deferred fail', 'FAILED', undefined, 'ill (Error)'],
    ['attempt fail', 'ROLLED_BACK', undefined, 'ill (Error)'],
    [
      'sessions human',
      'NEEDS_HUMAN',
      undefined,
      'nobody may go back; changed and not undone: sessions were ended',
    ],
  ])('after "%s" ends as %s, instead of %s, and says: %s', (parts, outcome, instead, summary) =>
    withKit(env, async (kit) => {
      const { failure, report } = await leave(kit, parts);
      expect([failure?.type, failure?.message]).toEqual([outcome, `${outcome}: ${summary}`]);
      expect([report?.summary, report?.instead]).toEqual([summary, instead]);
    }),
  );

  it('has changed nothing where an atomic step failed', () =>
    withKit(env, async (kit) => {
      kit.world.acts.change = async () => {
        throw ApplicationFailure.nonRetryable('division by zero', 'SqlError');
      };
      const { failure, report } = await leave(kit, 'atomic');
      expect(failure?.message).toBe('FAILED: division by zero (SqlError)');
      expect(report?.changes).toBeUndefined();
    }));

  it('says "perhaps" where it is not known how far an irreversible step came', () =>
    withKit(env, async (kit) => {
      kit.world.acts.change = async () => {
        throw ApplicationFailure.nonRetryable('connection lost', 'Broken');
      };
      expect((await leave(kit, 'sessions')).failure?.message).toBe(
        'PARTIAL: connection lost (Broken); changed and not undone: perhaps sessions were ended',
      );
    }));

  it('has changed nothing where an irreversible step found nothing to do', () =>
    withKit(env, async (kit) => {
      kit.world.acts.change = async () => 'none';
      expect((await leave(kit, 'sessions fail')).failure?.message).toBe('FAILED: ill (Error)');
    }));

  it('says "perhaps" where a retry found nothing to do: the attempt before it may have done it', () =>
    withKit(env, async (kit) => {
      kit.world.acts.change = async () => 'none, again';
      expect((await leave(kit, 'sessions fail')).failure?.message).toBe(
        'PARTIAL: ill (Error); changed and not undone: perhaps sessions were ended',
      );
    }));

  it('says "perhaps" where nobody knows whether an atomic step was committed', () =>
    withKit(env, async (kit) => {
      kit.world.acts.change = async () => {
        throw ApplicationFailure.create({ message: 'connection lost', type: 'Broken' });
      };
      expect((await leave(kit, 'atomic')).failure?.message).toBe(
        'PARTIAL: connection lost (Broken); changed and not undone: perhaps Add column',
      );
    }));

  it('says "perhaps" of a step whose outcome stayed unknown and whose way back got stuck', () =>
    withKit(env, async (kit) => {
      kit.world.acts.change = async () => {
        throw ApplicationFailure.nonRetryable('connection lost', 'Broken');
      };
      kit.world.acts.changeBack = async () => {
        throw ApplicationFailure.nonRetryable('disk full', 'Broken');
      };
      const handle = await kit.start('leaving', undefined, { parts: 'undo' });
      const { id } = await kit.waiting(handle, 'task');
      await handle.executeUpdate('done', { args: [{ task: id, by: 'ben', note: 'mended' }] });
      expect((await kit.finish(handle)).report?.changes).toMatchObject([{ what: 'Change a', done: false }]);
    }));

  it('tells the person who is called what a way back changed before it got stuck', () =>
    withKit(env, async (kit) => {
      const handle = await kit.start('leaving', undefined, { parts: 'stuck fail' });
      const { id } = await kit.waiting(handle, 'task');
      await handle.executeUpdate('done', { args: [{ task: id, by: 'ben', note: 'mended' }] });
      const { failure } = await kit.finish(handle);
      expect(failure?.message).toMatch(
        /^NEEDS_HUMAN: c is half restored.*; changed and not undone: c was restored$/,
      );
    }));

  it.each([
    ['sessions wait', 'cancelled; changed and not undone: sessions were ended', 'CANCELLED'],
    [
      'sessions undo wait',
      'cancelled; what had been done was undone; changed and not undone: sessions were ended',
      'ROLLED_BACK',
    ],
  ])('and is cancelled after "%s" fails, and says: %s', (parts, summary, instead) =>
    withKit(env, async (kit) => {
      const handle = await kit.start('leaving', undefined, { parts });
      const last = parts.includes('undo') ? 'Change a' : 'End sessions';
      await kit.until(handle, ({ timeline }) =>
        timeline.some(({ title, status }) => title === last && status === 'done'),
      );
      await handle.cancel();
      const { failure, report } = await kit.finish(handle);
      expect(failure?.message).toBe(`PARTIAL: ${summary}`);
      expect(report?.instead).toBe(instead);
    }),
  );

  it('that an alert started is heard of, and lowers its runbook to propose', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { service: 'half-done', mode: 'auto' };
      const { failure } = await leave(kit, 'sessions fail', { alert: ALERT });
      expect(failure?.type).toBe('PARTIAL');
      expect(kit.world.log).toContain('told on-call');
      const { breaker } = await env.client.workflow.getHandle('guard/half-done').query<GuardState>('state');
      expect(breaker.ceilings['leaving']).toMatchObject({ mode: 'propose', by: 'breaker' });
    }));
});

describe('a run that reaches its end', () => {
  it('tells what it changed, and what was taken back is not among it', () =>
    withKit(env, async (kit) => {
      const { report } = await leave(kit, 'sessions backup kept back');
      expect(report).toMatchObject({ outcome: 'SUCCEEDED', summary: 'done' });
      expect(report?.changes?.map(({ kind, what }) => [kind, what])).toEqual([
        ['irreversible', 'sessions were ended'],
        ['harmless', 'backup b-1'],
      ]);
    }));

  it('succeeded where the symptom went away after it had changed something', () =>
    withKit(env, async (kit) => {
      const { report } = await leave(kit, 'sessions well');
      expect(report).toMatchObject({
        outcome: 'SUCCEEDED',
        summary: 'it went away; changed and not undone: sessions were ended',
      });
    }));

  it('has nothing to do where what it changed is harmless', () =>
    withKit(env, async (kit) => {
      const { report } = await leave(kit, 'backup well');
      expect(report).toMatchObject({
        outcome: 'NOTHING_TO_DO',
        summary: 'it went away; beside it stays: backup b-1',
      });
    }));

  it('has not only observed where it had changed something', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'observe' };
      const { failure, report } = await leave(kit, 'sessions plan');
      expect(failure?.message).toMatch(
        /^PARTIAL: plan \w+ was not carried out; changed and not undone: sessions were ended$/,
      );
      expect(report?.instead).toBe('OBSERVED');
    }));

  it('shows that a section of its own has a bug, and goes on', () =>
    withKit(env, async (kit) => {
      const handle = await kit.start('leaving', undefined, { parts: 'broken sessions' });
      expect((await kit.finish(handle)).report).toMatchObject({ outcome: 'SUCCEEDED' });
      expect((await handle.query<RunStatus>('status')).sections).toEqual([
        'This section failed: a bug in what is shown',
      ]);
    }));
});

it('a step cannot claim to be covered by a way back that nobody registered', () =>
  withKit(env, async (kit) => {
    const { failure } = await leave(kit, 'covered');
    expect(failure?.message).toMatch(/"Add traffic" is not covered: no way back called "Change a back"/);
    expect(kit.world.log).toEqual([]);
  }));

it('what an attempt did is undone, and the run goes on with the reason', () =>
  withKit(env, async (kit) => {
    const { report } = await leave(kit, 'attempt');
    expect(report).toMatchObject({ outcome: 'SUCCEEDED', facts: { attempt: 'it did not help' } });
    expect(kit.world.log).toEqual(['change a', 'change back a']);
  }));

it('a run has perhaps changed what its child began, where that was ended before it could report', () =>
  withKit(env, async (kit) => {
    const { failure } = await kit.finish(await kit.start('leaving', 'cut-off', { parts: 'cutOff fail' }));
    expect(failure?.message).toBe(
      'PARTIAL: ill (Error); changed and not undone: perhaps cutOff cut-off/cutOff-1 ended without a report',
    );
  }));

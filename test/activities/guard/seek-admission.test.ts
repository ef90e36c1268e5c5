import type { Client } from '@temporalio/client';
import { createGuardActivities } from '../../../src/activities/guard/guard-activities';
import type { PlaceRequest } from '../../../src/contract/places';
import type { ActivityDeps } from '../../../src/activities/support/deps';

const NOTICE = { target: 'booking', state: 'admitted', mode: 'auto', reason: '' } as const;
const LIMITS = { alerts: 2, schedules: 2, shards: 2 };
const WISH: PlaceRequest = {
  ...{ workflowId: 'run', runId: 'r1', rank: 1, notice: NOTICE },
  ...{ pool: 'alerts', shard: 0, limits: LIMITS },
};
const QUEUED = { signal: 'verdict', argument: { ...NOTICE, state: 'queued', reason: 'none is free' } };

/** Entities that answer Updates as given, or not at all; what is said to them, and how. */
function entities(answers: Record<string, unknown>) {
  const said: { workflowId: string; signal: string; argument: unknown }[] = [];
  const asked: string[] = [];
  const client = {
    withDeadline: (_: number, body: () => unknown) => body(),
    workflow: {
      getHandle: (workflowId: string) => ({
        executeUpdate: async (_: string, { args: [argument] }: { args: [Partial<PlaceRequest>] }) => {
          const name = argument.glance === true ? `${workflowId} at a glance` : workflowId;
          asked.push(name);
          if (!(name in answers)) throw new Error('too late');
          return answers[name];
        },
      }),
      signalWithStart: async (_: string, { workflowId, signal, signalArgs }: never) =>
        said.push({ workflowId, signal, argument: (signalArgs as unknown[])[0] }),
    },
  } as unknown as Client;
  const config = { temporal: { taskQueue: 'runbooks' } };
  const { seekAdmission } = createGuardActivities({ config, client } as unknown as ActivityDeps);
  const ask = (waits = false) =>
    seekAdmission({ target: 'booking', workflowId: 'run', runId: 'r1', waits } as never);
  return { ask, asked, said };
}
const wants = { workflowId: 'places/0', signal: 'want', argument: WISH };
const granted = { signal: 'verdict', argument: { ...NOTICE, shard: 1 } };
const none = { 'guard/booking': wants, 'places/0 at a glance': null };

describe('a run that seeks a place', () => {
  it('has one of another shard where its own has none, and waits at neither meanwhile', async () => {
    const { ask, asked, said } = entities({ ...none, 'places/1 at a glance': granted });
    expect(await ask()).toEqual(granted.argument);
    expect(asked).toEqual(['guard/booking', 'places/0 at a glance', 'places/1 at a glance']);
    expect(said).toEqual([]);
  });

  it('waits at its own shard where the other one has none either', async () => {
    const { ask, said } = entities({ ...none, 'places/1 at a glance': null, 'places/0': QUEUED });
    expect(await ask()).toEqual(QUEUED.argument);
    expect(said).toEqual([]);
  });

  it('looks nowhere else while its own shard may have given it one', async () => {
    const { ask, asked, said } = entities({ 'guard/booking': wants });
    expect(await ask()).toBeUndefined();
    expect(asked).not.toContain('places/1 at a glance');
    expect(said).toEqual([wants]);
  });

  it('hears from its own shard of a place that the other one has given it without being heard', async () => {
    const { ask, said } = entities(none);
    expect(await ask()).toBeUndefined();
    expect(said).toEqual([
      { workflowId: 'places/1', signal: 'want', argument: { ...WISH, passedBy: 0 } },
      wants,
    ]);
  });

  it('asks only where it waits when it asks again: another one would be a second place', async () => {
    const { ask, asked } = entities({ ...none, 'places/1 at a glance': granted, 'places/0': QUEUED });
    expect(await ask(true)).toEqual(QUEUED.argument);
    expect(asked).toEqual(['guard/booking', 'places/0']);
  });

  it('asks nobody else where there is one shard only', async () => {
    const alone = { ...wants, argument: { ...WISH, limits: { ...LIMITS, shards: 1 } } };
    const { ask, asked } = entities({ 'guard/booking': alone, 'places/0': QUEUED });
    expect(await ask()).toEqual(QUEUED.argument);
    expect(asked).toEqual(['guard/booking', 'places/0']);
  });
});

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

/** Entities that answer Updates as given, or not at all; what is said to them by signal. */
function entities(answers: Record<string, unknown>) {
  const said: { workflowId: string; signal: string; argument: unknown }[] = [];
  const client = {
    withDeadline: (_: number, body: () => unknown) => body(),
    workflow: {
      getHandle: (workflowId: string) => ({
        executeUpdate: async () => {
          if (!(workflowId in answers)) throw new Error('too late');
          return answers[workflowId];
        },
      }),
      signalWithStart: async (_: string, { workflowId, signal, signalArgs }: never) =>
        said.push({ workflowId, signal, argument: (signalArgs as unknown[])[0] }),
    },
  } as unknown as Client;
  const config = { temporal: { taskQueue: 'runbooks' } };
  const { seekAdmission } = createGuardActivities({ config, client } as unknown as ActivityDeps);
  const ask = () => seekAdmission({ target: 'booking', workflowId: 'run', runId: 'r1' } as never);
  return { ask, said };
}
const wants = { workflowId: 'places/0', signal: 'want', argument: WISH };

describe('a run that seeks a place', () => {
  it('has one of another shard where its own has none', async () => {
    const granted = { ...NOTICE, shard: 1 };
    const { ask, said } = entities({
      'guard/booking': wants,
      'places/0': QUEUED,
      'places/1': { signal: 'verdict', argument: granted },
    });
    expect(await ask()).toEqual(granted);
    expect(said).toEqual([]);
  });

  it('waits at its own shard where the other one has none either', async () => {
    const { ask, said } = entities({ 'guard/booking': wants, 'places/0': QUEUED, 'places/1': null });
    expect(await ask()).toEqual(QUEUED.argument);
    expect(said).toEqual([]);
  });

  it('hears by signal of a place that the other shard has given it without being heard', async () => {
    const { ask, said } = entities({ 'guard/booking': wants, 'places/0': QUEUED });
    expect(await ask()).toEqual(QUEUED.argument);
    expect(said).toEqual([{ workflowId: 'places/1', signal: 'want', argument: { ...WISH, passedBy: 0 } }]);
  });

  it('asks nobody else where there is one shard only', async () => {
    const alone = { ...wants, argument: { ...WISH, limits: { ...LIMITS, shards: 1 } } };
    const { ask, said } = entities({ 'guard/booking': alone, 'places/0': QUEUED });
    expect(await ask()).toEqual(QUEUED.argument);
    expect(said).toEqual([]);
  });
});

import { readGuardMemory } from '../src/activities/guard/reach-guard';
import { guardId } from '../src/contract/guard';
import type { Bench } from './environment';
import { until } from './short-runs';

/** Pauses everything, and lets it go on. Returns the milliseconds from the order until every gate reads the pause. */
export async function pauseOnce({ client, config }: Bench): Promise<number> {
  let took = 0;
  for (const verb of ['pause', 'resume'] as const) {
    const began = Date.now();
    await client.workflow.signalWithStart('guard', {
      workflowId: guardId('all'),
      taskQueue: config.temporal.taskQueue,
      args: [{ target: 'all' }],
      signal: verb,
      signalArgs: [{ by: 'bench', reason: 'bench' }],
    });
    await until(async () => {
      const paused = (await readGuardMemory(client, 'all'))?.memory?.paused ?? null;
      return (paused !== null) === (verb === 'pause');
    });
    if (verb === 'pause') took = Date.now() - began;
  }
  return took;
}

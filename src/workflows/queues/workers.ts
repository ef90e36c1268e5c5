import { targetOf, type Place } from '../../contract/place';
import { countOf, type Run } from '../kit';

/** Nobody works on a queue, and nothing starts workers: a person does, and the run sees it. */
export async function workersStarted(run: Run, place: Place, queue: string): Promise<void> {
  await run.task(`Nobody works on the queue ${queue} of ${targetOf(place)}. Start its workers.`, {
    title: 'Does anybody work on it?',
    everyMs: 60_000,
    call: async (act) => {
      const { queues } = await act.readQueues({ ...place, only: [queue] });
      const workers = queues[0]?.workers ?? null;
      return {
        ok: workers !== null && workers > 0,
        detail: workers === null ? 'not known' : countOf(workers, 'worker'),
      };
    },
  });
}

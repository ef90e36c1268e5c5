import { sleep } from '@temporalio/workflow';
import { duration, utc } from '../../contract/text';
import type { Run } from './run';
import { endEntry, publish, startEntry, type RunState } from './state';

/** A timer, and no looks: it costs nothing however long it takes, and a new worker goes on waiting. */
export function createRest(state: RunState): Run['rest'] {
  return async (title, forMs) => {
    if (forMs <= 0) return;
    const until = utc(new Date(Date.now() + forMs).toISOString());
    const { summary } = state.report;
    const entry = startEntry(state, title, 'waiting', `until ${until}`);
    state.report.summary = `${title}: until ${until}`;
    publish(state);
    let over = false;
    try {
      await state.place.give();
      await sleep(forMs);
      over = true;
    } finally {
      state.report.summary = summary;
      endEntry(
        state,
        entry,
        over ? 'done' : 'failed',
        `${over ? 'after' : 'before the end of'} ${duration(forMs)}`,
      );
    }
    await state.place.take(false);
  };
}

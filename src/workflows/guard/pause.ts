import type { GuardState, PauseOrder } from '../../contract/guard';
import { need } from '../kit';
import { noteChange, now } from './changes';
import { boundedText } from './shape';

// They stand in its memo, which has a limit: what stops everything must not be what a guard cannot bear.
const MAX_NAME = 200;
const MAX_REASON = 2_000;

/** Sent by hand from the UI, so nothing about its shape is certain. To stop must always work; to go on needs a name. */
export function pauseSignals(
  state: GuardState,
  touched: () => void,
  then: { paused: () => void; resumed: () => void },
) {
  return {
    pause: (order?: Partial<PauseOrder>) => {
      const by = boundedText(order?.by, 'unknown', MAX_NAME);
      const reason = boundedText(order?.reason, 'no reason given', MAX_REASON);
      state.paused = { by, reason, at: now() };
      noteChange(state, { by, what: 'paused', reason });
      then.paused();
      touched();
    },
    resume: (order?: Partial<PauseOrder>) => {
      const problem = problemOf(order);
      if (problem !== undefined) {
        const by = boundedText(order?.by, 'unknown', MAX_NAME);
        noteChange(state, { by, what: 'not resumed', reason: problem });
      } else if (state.paused !== null) {
        state.paused = null;
        // What stopped everything is looked at; the count begins anew.
        state.sick = {};
        noteChange(state, { by: order!.by!, what: 'resumed', reason: order!.reason! });
        then.resumed();
      }
      touched();
    },
  };
}

function problemOf(order: Partial<PauseOrder> | undefined): string | undefined {
  try {
    need(order, ['by', 'reason']);
    return undefined;
  } catch {
    return 'name or reason missing';
  }
}

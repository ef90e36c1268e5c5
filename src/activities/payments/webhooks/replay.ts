import { databaseIn, targetOf, type Fence, type Place } from '../../../contract/place';
import { withHeldFence } from '../../postgres/session/held-fence';
import type { ActivityDeps } from '../../support/deps';
import { isHttpFailure, problemOf } from '../../support/http';
import { performOperation } from '../../support/operation/perform';
import { pause, probeReceiver, type Receiver } from '../receiver';
import { followRows, readWebhookTables, type FailedEvent } from './event-log';
import { webhookLogOf, webhookReplayOf } from './settings';

export interface ReplayInput extends Place {
  /** Those of the plan, and no others. */
  events: Pick<FailedEvent, 'id' | 'event'>[];
  fence: Fence;
}

export interface Replayed {
  /** The application said that it did. Keys of rows. */
  asked: string[];
  /** No longer failed by the time that they would have been replayed. */
  passed: string[];
  /** The application refused, or did not answer. */
  refused: { id: string; why: string }[];
}

const FENCE_WAIT_MS = 60_000;
/** One after the other: then it is not this event that is wrong. */
const MAX_REFUSED = 3;

/** Has the application apply events of its log. */
export function createWebhookReplayActivities(deps: ActivityDeps) {
  return {
    /**
     * Has the application apply each of these rows, where it is still failed at that moment, and never two at once. What it
     * refuses is an answer; three in a row end the round. A retry looks at each row again; one that is being applied right
     * then is asked for twice, which the application's own guard makes harmless. Throws StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async replayWebhookEvents({ events, fence, ...place }: ReplayInput): Promise<Replayed> {
      const config = webhookLogOf(deps, place.service);
      const { replay, pauseSeconds } = webhookReplayOf(deps, place);
      const held = { fence, waitMs: FENCE_WAIT_MS, action: 'hold the fence while events are replayed' };
      return withHeldFence(deps, databaseIn(place), held, ({ client, hold, report }) =>
        hold(async (signal) => {
          const tables = await readWebhookTables(client, place.service, config);
          const result: Replayed = { asked: [], passed: [], refused: [] };
          report({ phase: 'replay events', total: events.length });
          let inARow = 0;
          for (const [done, { id, event }] of events.entries()) {
            report({ done });
            if (done > 0) await pause(pauseSeconds, signal);
            signal.throwIfAborted();
            const { failed } = await followRows(client, tables, config, [id]);
            if (failed.length === 0) {
              result.passed.push(id);
              continue;
            }
            const action = `replay event ${event} of ${targetOf(place)}`;
            const parameters = { ...place, id, event, fencingToken: fence.token };
            const why = await performOperation(replay, {
              action,
              parameters,
              directory: deps.config.directory,
              signal,
            }).then(
              () => undefined,
              (error: unknown) => {
                if (!isHttpFailure(error)) throw error;
                return problemOf(error);
              },
            );
            inARow = why === undefined ? 0 : inARow + 1;
            if (why === undefined) result.asked.push(id);
            else result.refused.push({ id, why });
            if (inARow === MAX_REFUSED) break;
          }
          return result;
        }),
      );
    },

    /** Whether the application takes a signed event, which is sent where `probe` is configured. Throws InvalidInput. */
    async checkPaymentReceiver(place: Place): Promise<Receiver> {
      const { probe } = webhookReplayOf(deps, place);
      if (probe !== undefined) return probeReceiver(deps, place, probe);
      return { takes: null, detail: `whether ${targetOf(place)} takes a signed event nobody tries` };
    },
  };
}

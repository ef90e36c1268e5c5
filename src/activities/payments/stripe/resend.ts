import { databaseIn, targetOf, type Fence, type Place } from '../../../contract/place';
import { withHeldFence } from '../../postgres/session/held-fence';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { pause, probeReceiver, type Receiver } from '../receiver';
import { askStripe, refusalOf, requireMode } from './client';
import { readRecords, readStripeTables } from './records';
import { stripeOf, stripeTablesOf } from './settings';
import { failedWith } from './undelivered';

export interface ResendInput extends Place {
  /** Those of the plan, and no others. */
  events: string[];
  /** First execution run ID of the workflow, and which of its rounds this is: every attempt of a round counts once. */
  run: string;
  round: number;
  fence: Fence;
}

export interface Resent {
  sent: string[];
  /** Recorded by the time that they would have been sent. */
  recorded: string[];
  /** Stripe does not have them any more. */
  lost: string[];
  /** Stripe does not send them. */
  refused: { id: string; why: string }[];
}

const FENCE_WAIT_MS = 60_000;
const NOT_THERE = 404;
/** A request with this idempotency key is being answered. */
const BUSY = 409;
/** One after the other: then it is not this event that is wrong. */
const MAX_REFUSED = 3;

/** Has Stripe send events again, and looks whether somebody takes them. */
export function createResendActivities(deps: ActivityDeps) {
  return {
    /**
     * Has Stripe send each of these to the endpoint once more, where the application has no record of it at that moment. The
     * idempotency key is the same for every attempt of a round, so that one whose answer was lost is not sent twice. That it
     * refuses one is an answer; three in a row end the round. Throws StaleFencingToken, FenceBusy, ModeMismatch, HttpFailed, MappingInvalid, DatabaseUnreachable.
     */
    async resendStripeEvents({ events, run, round, fence, ...place }: ResendInput): Promise<Resent> {
      const tables = stripeTablesOf(deps, place.service);
      const held = { fence, waitMs: FENCE_WAIT_MS, action: 'hold the fence while events are sent again' };
      return withHeldFence(deps, databaseIn(place), held, ({ client, hold, report }) =>
        hold(async (lost) => {
          const mapped = await readStripeTables(client, place.service, tables);
          report({ phase: 'send events again', total: events.length });
          return askStripe(deps, place, 'send events again', async ({ stripe, config }) => {
            const result: Resent = { sent: [], recorded: [], lost: [], refused: [] };
            let inARow = 0;
            for (const [done, event] of events.entries()) {
              report({ done });
              if (done > 0) await pause(config.pauseSeconds, lost);
              lost.throwIfAborted();
              // It may have come by itself, or by an attempt before this one.
              if ((await readRecords(client, mapped, tables, [event])).size > 0) {
                result.recorded.push(event);
                continue;
              }
              const answer = await stripe
                .rawRequest(
                  'POST',
                  `/v1/events/${encodeURIComponent(event)}/retry`,
                  { webhook_endpoint: config.endpoint },
                  { idempotencyKey: `${run}-${event}-${round}` },
                )
                .then(() => 'sent' as const, answerOf);
              if (typeof answer === 'string') result[answer].push(event);
              else result.refused.push({ id: event, why: answer.why });
              inARow = typeof answer === 'string' ? 0 : inARow + 1;
              if (inARow === MAX_REFUSED) break;
            }
            return result;
          });
        }),
      );
    },

    /**
     * Whether the endpoint is switched on at Stripe, and whether the application takes a signed event, which is sent where
     * `probe` is configured. Throws InvalidInput, ModeMismatch, HttpFailed.
     */
    async checkStripeReceiver(place: Place): Promise<Receiver> {
      const { probe, endpoint: id } = stripeOf(deps, place);
      const enabled = await askStripe(
        deps,
        place,
        'look at the webhook endpoint',
        async ({ stripe, config }) => {
          const endpoint = await stripe.webhookEndpoints.retrieve(id);
          requireMode(endpoint, config);
          return endpoint.status === 'enabled';
        },
      );
      if (!enabled)
        return {
          takes: false,
          detail: `Stripe has switched endpoint ${id} off, and sends nothing there. Switch it on in the dashboard of Stripe (Developers, Webhooks).`,
        };
      if (probe !== undefined) return probeReceiver(deps, place, probe);
      return {
        takes: null,
        detail: `endpoint ${id} is switched on; whether ${targetOf(place)} takes events nobody tries`,
      };
    },
  };
}

function answerOf(error: unknown): 'lost' | { why: string } {
  if (failedWith(error) === NOT_THERE) return 'lost';
  if (failedWith(error) === BUSY)
    throw fail('HttpFailed', 'Stripe is still at the attempt before this one', { retryable: true });
  const why = refusalOf(error);
  if (why === undefined) throw error;
  return { why };
}

import type { AlertSourceConfig } from '../config/alert-schema';
import { MissingSecret } from '../config/secrets';
import type { Alert } from '../contract/alert';
import type { AlertResult, Dealt, Intake } from './intake';
import { createOccasion, type Log } from './log';
import type { AlertMetrics } from './metrics';
import { readJson } from './read-body';
import type { ReplayStore } from './replay-store';
import { BadAlert, type Delivery, type SenderKind, type VerifyOptions } from './sender';
import { senders } from './senders';
import { Unavailable } from './temporal-calls';

/** A request whose source is known, and nothing else about it. */
export interface Received extends Delivery {
  name: string;
  source: AlertSourceConfig;
}

export interface Answer {
  status: number;
  body: { error?: string; result?: 'replayed'; alerts?: (Dealt | Failed)[] };
}

type Failed = Omit<Dealt, 'result'> & { result: 'unavailable' };

interface Options {
  intake: Intake;
  replays: ReplayStore;
  metrics: AlertMetrics;
  log: Log;
  verify: VerifyOptions;
  /** How long a sender waits of which nothing else is known. */
  answerWithinMs?: number;
}

/** Senders hang up, and some unsubscribe us: Sentry after 1 s, PagerDuty after 5 s. */
const ANSWER_WITHIN_MS: Partial<Record<SenderKind, number>> = { sentry: 850, pagerduty: 4_500 };
const ANSWER_MS = 5_000;
const LOG_AGAIN_MS = 60_000;

/**
 * From a request to its answer: the proof over the raw body first, then whether it was here before, then what is in
 * it. 2xx only when all that had to be persisted is; 503 otherwise, and the sender comes again.
 */
export function createReceive({
  intake,
  replays,
  metrics,
  log,
  verify,
  answerWithinMs = ANSWER_MS,
}: Options) {
  const isNews = createOccasion(LOG_AGAIN_MS);

  return async function receive(request: Received): Promise<Answer> {
    const { name, source, headers, body, receivedAtMs } = request;
    const sender = senders[source.kind];
    const refused = (status: number, error: string, why = error): Answer => {
      metrics.count(name, status === 503 ? 'unavailable' : status === 400 ? 'bad' : 'refused');
      if (isNews(`${name} ${status} ${why}`)) log('warn', 'refused a request', { source: name, status, why });
      return { status, body: { error } };
    };
    try {
      const verified = sender.verify({ headers, body, receivedAtMs }, source.auth, verify);
      if (!verified.ok) return refused(verified.status, REFUSED[verified.status], verified.why);
      const { deliveryId } = verified;
      if (deliveryId !== null && replays.has(name, deliveryId)) {
        metrics.count(name, 'replayed');
        return { status: 200, body: { result: 'replayed', alerts: [] } };
      }
      const mapping = source.kind === 'generic' ? source.fields : undefined;
      const alerts = sender.parse(readJson(body), headers, { source: name, mapping });
      const answer = await dealWithAll(
        name,
        alerts,
        receivedAtMs + (ANSWER_WITHIN_MS[source.kind] ?? answerWithinMs),
      );
      // Only now: what was answered 503 comes again as the same delivery.
      if (answer.status < 300 && deliveryId !== null) replays.remember(name, deliveryId);
      return answer;
    } catch (error) {
      if (error instanceof BadAlert) return refused(400, error.message);
      // Ours to mend, and then the sender's next try is as good as this one.
      if (error instanceof MissingSecret) return refused(503, 'not ready to take alerts', error.message);
      throw error;
    }
  };

  async function dealWithAll(source: string, alerts: Alert[], untilMs: number): Promise<Answer> {
    const settled = await Promise.allSettled(alerts.map((alert) => intake.deal(alert, untilMs)));
    let why: string | undefined;
    const dealt = settled.map((one, index): Dealt | Failed => {
      if (one.status === 'fulfilled') return one.value;
      if (!(one.reason instanceof Unavailable)) throw one.reason;
      why = one.reason.message;
      const { fingerprint, status } = alerts[index]!;
      return { fingerprint, status, result: 'unavailable' };
    });
    for (const { result } of dealt) metrics.count(source, result satisfies AlertResult | 'unavailable');
    if (why === undefined) return { status: 202, body: { alerts: dealt } };
    if (isNews(`${source} unavailable ${why}`)) log('error', 'alerts have to come again', { source, why });
    return { status: 503, body: { error: `${why}; send it again`, alerts: dealt } };
  }
}

export type Receive = ReturnType<typeof createReceive>;

const REFUSED = {
  401: 'the secret or the signature is missing or wrong; the log of the intake says which',
  403: 'the signed time is too far from the time here; the log of the intake says how far',
} as const;

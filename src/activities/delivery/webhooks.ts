import type { Fence, Place } from '../../contract/place';
import { targetOf } from '../../contract/place';
import { environmentOf } from '../../config/load';
import type { EnvironmentWith } from '../../config/settings';
import { runFencedChange } from '../postgres/session/fenced-change';
import { isLate, problemOf } from '../support/http';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { withProgress } from '../support/heartbeat';
import { exchange } from '../support/operation/exchange';
import { readWhole } from '../support/operation/perform';
import { numberAt, valueAt, type Json } from '../support/json';
import { listDeliveries, NOT_THERE, readDelivery, textAt, type Delivery, type Listed } from './deliveries';
import type { deliverySettings, WebhooksConfig } from './settings';

export type { Delivery } from './deliveries';

/** What failed, at one moment. */
export interface WebhookStatus {
  /** Failed ones, those that were listed first; at most `maxDeliveries`. */
  deliveries: Delivery[];
  /** Of all that was listed. */
  failed: number;
  waiting: number;
  /** There is more than was read. */
  more: boolean;
  maxRounds: number;
  roundEveryMs: number;
  patienceMs: number;
  maxAttempts: number | null;
  signatureHeader: string | null;
  canProbe: boolean;
  /** Somebody says what became of those that are no longer listed. */
  tellsEnds: boolean;
  /** What nobody will notice. */
  unconfigured: string[];
}

/** What became of deliveries. */
export interface Followed {
  succeeded: number;
  /** Given up for good. */
  terminal: Delivery[];
  /** Not over. */
  failed: Delivery[];
  /** Over, and nobody says how. */
  gone: number;
  /** Of those that are followed: attempts since, as far as they are told. */
  attempts: number;
  /** Failed and waiting, of everything that was listed. */
  backlog: number;
}

export interface Probe {
  ok: boolean;
  status: number | null;
  error: string | null;
}

/** One that is followed, with its attempts as the run found it. */
export type Traced = Pick<Delivery, 'id' | 'attempts'>;

const LOOKUPS_AT_ONCE = 4;
/** It was switched off, or deleted, while deliveries to it are open. */
const UNKNOWN_ENDPOINT: Probe = {
  ok: false,
  status: null,
  error: 'the application knows no such endpoint',
};

/** Webhooks that an application sends. */
export function createWebhookActivities(deps: ActivityDeps) {
  function webhooksOf({ service, environment }: Place): WebhooksConfig {
    const { webhooks } = environmentOf(deps.config, service, environment) as EnvironmentWith<
      typeof deliverySettings
    >;
    if (webhooks !== undefined) return webhooks;
    throw fail(
      'InvalidInput',
      `services.${service}.environments.${environment}.webhooks is missing in runbooks.yaml: it says where deliveries are listed and sent. Add it, then start again.`,
    );
  }

  const progress = { phase: 'read deliveries', done: 0, total: 0, unit: 'statements' as const };
  const { directory } = deps.config;

  return {
    /** What failed and is to be sent again. Reads only, so a retry is safe. Throws InvalidInput, HttpFailed, WebhooksUnknown. */
    async readWebhooks(place: Place): Promise<WebhookStatus> {
      const config = webhooksOf(place);
      const { deliveries, more } = await withProgress(progress, () =>
        listDeliveries(config, place, directory),
      );
      const failed = [...deliveries.values()].filter(({ state }) => state === 'failed');
      return {
        deliveries: failed.slice(0, config.maxDeliveries).map(({ delivery }) => delivery),
        failed: failed.length,
        waiting: [...deliveries.values()].filter(({ state }) => state === 'waiting').length,
        more,
        maxRounds: config.maxRounds,
        roundEveryMs: config.roundEverySeconds * 1_000,
        patienceMs: config.patienceSeconds * 1_000,
        maxAttempts: config.maxAttempts ?? null,
        signatureHeader: config.signatureHeader ?? null,
        canProbe: config.probe !== undefined,
        tellsEnds: config.delivery !== undefined,
        unconfigured: unconfiguredOf(config),
      };
    },

    /** What became of exactly these. Reads only, so a retry is safe. Throws as `readWebhooks`. */
    async followWebhooks({ traced, ...place }: Place & { traced: Traced[] }): Promise<Followed> {
      const config = webhooksOf(place);
      return withProgress(progress, async () => {
        const { deliveries, more } = await listDeliveries(config, place, directory);
        const missing = traced.filter(({ id }) => !deliveries.has(id));
        const found = new Map(deliveries);
        for (let from = 0; from < missing.length; from += LOOKUPS_AT_ONCE)
          await Promise.all(
            missing.slice(from, from + LOOKUPS_AT_ONCE).map(async ({ id }) => {
              const one = await readDelivery(config, place, directory, id);
              if (one !== undefined) found.set(id, one);
            }),
          );
        return followed(traced, found, { deliveries, unread: more && config.delivery === undefined });
      });
    },

    /**
     * Has the application send once more what is due. A retry does it again: whoever configures it makes that harmless.
     * One that is not over in time is no failure: rounds are counted, and the list shows what it sent. Throws InvalidInput, StaleFencingToken, FenceBusy, WrongDatabase, DatabaseUnreachable, HttpFailed.
     */
    async runWebhookDeliveries({ fence, ...place }: Place & { fence: Fence }): Promise<CommandResult> {
      const operation = webhooksOf(place).run;
      const startedAt = Date.now();
      try {
        return await runFencedChange(
          deps,
          { ...place, fence },
          { operation },
          'run the deliveries of webhooks',
        );
      } catch (error) {
        if (!isLate(error)) throw error;
        return { ran: true, detail: problemOf(error), durationMs: Date.now() - startedAt };
      }
    },

    /**
     * Has the application send an event that means nothing to one endpoint, and says what the receiver made of it. A retry
     * sends another one. Throws InvalidInput, HttpFailed, WebhooksUnknown.
     */
    async probeWebhookEndpoint({ endpoint, ...place }: Place & { endpoint: string }): Promise<Probe> {
      const { probe } = webhooksOf(place);
      if (probe === undefined) throw fail('InvalidInput', 'webhooks.probe is not configured.');
      const action = `probe endpoint ${endpoint} of ${targetOf(place)}`;
      const parameters = { ...place, endpoint };
      return exchange(probe, { action, parameters, directory }, (answer, clean) =>
        answer.status === NOT_THERE
          ? UNKNOWN_ENDPOINT
          : probeOf(readWhole(probe, answer), probe, action, clean),
      );
    },
  };
}

function probeOf(
  json: Json,
  paths: NonNullable<WebhooksConfig['probe']>,
  action: string,
  clean: (text: string) => string,
): Probe {
  const status = numberAt(json, paths.status);
  const error = textAt(json, paths.error, clean);
  if (status === null && error === null && valueAt(json, paths.status) === undefined)
    throw fail(
      'WebhooksUnknown',
      `Could not ${action}: the answer has neither "${paths.status}" nor "${paths.error}"; correct webhooks.probe in the configuration.`,
    );
  return { ok: error === null && status !== null && status >= 200 && status < 300, status, error };
}

function followed(
  traced: Traced[],
  found: Map<string, Listed>,
  { deliveries, unread }: { deliveries: Map<string, Listed>; unread: boolean },
): Followed {
  const result: Followed = { succeeded: 0, terminal: [], failed: [], gone: 0, attempts: 0, backlog: 0 };
  for (const { id, attempts } of traced) {
    const one = found.get(id);
    if (one === undefined && unread) result.failed.push(unreadOne(id, attempts));
    if (one === undefined) {
      if (!unread) result.gone += 1;
      continue;
    }
    result.attempts += Math.max(0, one.delivery.attempts - attempts);
    if (one.state === 'succeeded') result.succeeded += 1;
    else if (one.state === 'terminal') result.terminal.push(one.delivery);
    else result.failed.push(one.delivery);
  }
  for (const { state } of deliveries.values())
    if (state === 'failed' || state === 'waiting') result.backlog += 1;
  return result;
}

function unreadOne(id: string, attempts: number): Delivery {
  const error = 'not among those that were listed, of which there are too many to read';
  return { id, attempts, endpoint: '', target: 'an endpoint', error, status: null, dueAt: null };
}

function unconfiguredOf({ delivery, probe, maxAttempts, deliveries }: WebhooksConfig): string[] {
  const missing = (name: string, what: string) => `webhooks.${name} is not configured: ${what}`;
  return [
    ...(delivery === undefined
      ? [
          missing(
            'delivery',
            'whether deliveries that are no longer listed were taken or given up, nobody says',
          ),
        ]
      : []),
    ...(probe === undefined
      ? [missing('probe', 'endpoints are judged by what failed, and whether they are well again, people say')]
      : []),
    ...(maxAttempts === undefined
      ? [missing('maxAttempts', 'whether attempts are bounded, nobody notices')]
      : []),
    ...(deliveries.next === undefined
      ? [missing('deliveries.next', 'where the list has pages, only what the first one lists is read')]
      : []),
    ...(deliveries.item.dueAt === undefined
      ? [missing('deliveries.item.dueAt', 'rounds come at fixed intervals, due or not')]
      : []),
  ];
}

import { environmentOf } from '../../config/load';
import { createApplicationFactsActivities } from './facts';
import type { ActivityDeps } from '../support/deps';
import { numberAt, valueAt, type Json } from '../support/json';
import { runFencedCommand } from '../postgres/session/fenced-change';
import type { Fence, Place } from '../../contract/place';
import { percent } from '../../contract/text';
import type { CommandResult } from '../support/configured-command';

const MAX_TEXT = 100;

/** Whether the application turns customers away. */
export interface RateLimitFacts {
  /** Share of requests refused, between 0 and 1; null where the application does not say. */
  refusedShare: number | null;
  /** More are refused than the configuration bears. */
  tooMany: boolean;
  /** The limit itself, as the application says it; null where it does not. */
  limit: string | null;
  detail: string;
}

/** The limits of requests that the application sets itself. */
export function createRateLimitActivities(deps: ActivityDeps) {
  const { readApplication } = createApplicationFactsActivities(deps);
  const applicationOf = ({ service, environment }: Place) =>
    environmentOf(deps.config, service, environment).application;

  async function set(input: Place & { fence: Fence }, to: 'raise' | 'restore'): Promise<CommandResult> {
    const command = applicationOf(input)?.raiseRateLimits?.[to];
    if (command === undefined) return { ran: false, detail: 'no raiseRateLimits configured', durationMs: 0 };
    return runFencedCommand(deps, input, command, `${to} the rate limits`);
  }

  return {
    /** How many requests the limit refuses. Reads only, so a retry is safe. Throws InvalidInput. */
    async readRateLimits(place: Place): Promise<RateLimitFacts> {
      const config = applicationOf(place)?.rateLimitStatus;
      const { body, detail } = await readApplication({ ...place, what: 'rateLimitStatus' });
      const share = config === undefined ? null : numberAt(body, config.field);
      const limit = textOf(config?.limit === undefined ? undefined : valueAt(body, config.limit));
      if (config === undefined || share === null)
        return {
          refusedShare: null,
          tooMany: false,
          limit,
          detail: body === null ? detail : `${detail}, without a share`,
        };
      const said = `${percent(share, 1)} of the requests are refused`;
      return { refusedShare: share, tooMany: share > config.max, limit, detail: said };
    },

    /** Raises the limits. A retry runs the command again. Throws StaleFencingToken, DatabaseUnreachable, CommandFailed. */
    async raiseRateLimits(input: Place & { fence: Fence }): Promise<CommandResult> {
      return set(input, 'raise');
    },

    /** Back to the usual limits; harmless where they were not raised. Throws as `raiseRateLimits`. */
    async restoreRateLimits(input: Place & { fence: Fence }): Promise<CommandResult> {
      return set(input, 'restore');
    },
  };
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'number' || typeof value === 'string' ? String(value).slice(0, MAX_TEXT) : null;
}

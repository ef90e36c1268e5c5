import { databaseIn, type Fence, type Place } from '../../contract/place';
import { resolveSecrets } from '../../config/secrets';
import { lastRunFrom } from '../observe/last-run';
import { withClient } from '../postgres/session/connection';
import { runFencedCommand } from '../postgres/session/fenced-change';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { ask, hostOf, jsonOf } from '../support/http';
import { valueAt } from '../support/json';
import { bookingsOf } from './settings';

/** The job that releases holds in time. */
export interface ExpiryWorker {
  /** Null where nobody has configured how to find out. */
  alive: boolean | null;
  detail: string;
  canRestart: boolean;
}

/** Looks whether the job that releases holds runs, and starts it again. */
export function createExpiryWorkerActivities(deps: ActivityDeps) {
  return {
    /**
     * When it ran last, against the clock of the database. An answer without that time counts as stopped. Reads only.
     * Throws HttpFailed, DatabaseUnreachable.
     */
    async readExpiryWorker(place: Place): Promise<ExpiryWorker> {
      const { expiryWorker } = bookingsOf(deps, place.service);
      if (expiryWorker === undefined)
        return { alive: null, detail: 'not looked at: none is configured', canRestart: false };
      const { url, headers, field, maxAgeSeconds, timeoutMs, restart } = expiryWorker;
      const resolve = (text: string) => resolveSecrets(text, deps.config.directory);
      // A health check answers 503 while anything is wrong, and says when the job ran all the same.
      const answer = await ask({
        url: resolve(url),
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, resolve(value)])),
        timeoutMs,
      });
      const now = await databaseClock(place);
      const lastRun = lastRunFrom(valueAt(jsonOf(answer), field), now);
      const canRestart = restart !== undefined;
      if ('wrong' in lastRun)
        return {
          alive: false,
          detail: `${hostOf(resolve(url))} names no time of its last run at ${field}: it ${lastRun.wrong}`,
          canRestart,
        };
      const ageSeconds = Math.round((now - lastRun.ms) / 1_000);
      const alive = ageSeconds <= maxAgeSeconds;
      const detail = `its last run was ${ageSeconds} s ago; ${maxAgeSeconds} s at most`;
      return { alive, detail, canRestart };
    },

    /** Starts it again. A retry does so once more. Throws StaleFencingToken, CommandFailed, InvalidInput. */
    async restartExpiryWorker(input: Place & { fence: Fence }): Promise<CommandResult> {
      const restart = bookingsOf(deps, input.service).expiryWorker?.restart;
      if (restart === undefined)
        throw fail(
          'InvalidInput',
          `services.${input.service}.bookings.expiryWorker.restart is missing in runbooks.yaml.`,
        );
      return runFencedCommand(deps, input, restart, 'restart the job that releases holds');
    },
  };

  async function databaseClock(place: Place): Promise<number> {
    return withClient(
      deps,
      databaseIn(place),
      async (client) => {
        const { rows } = await client.query<{ now: number }>(
          'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now',
        );
        return rows[0]!.now;
      },
      { readOnly: true, action: 'read the clock' },
    );
  }
}

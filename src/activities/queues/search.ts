import { MeilisearchApiError, Meilisearch } from 'meilisearch';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveSecrets } from '../../config/secrets';
import { targetOf, type Place } from '../../contract/place';
import { printableLine } from '../../contract/printable';
import { shown } from '../observe/log-events';
import { currentActivity, withProgress } from '../support/heartbeat';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { searchOf, type SearchConfig } from './settings';

export interface SearchStatus {
  /** Name of the queue that fills the index. */
  queue: string;
  available: boolean;
  detail: string;
  tasks: SearchTasks | null;
  maxLagMs: number;
  waitMs: number;
}

/** What Meilisearch has been given, and has not done. */
export interface SearchTasks {
  open: number;
  /** Of the oldest one that is open; 0 where none is. */
  oldestMs: number;
  /** Failed within the last hour, at most as many as are read. */
  failed: number;
  /** Why, the most frequent ones first, as `index: reason`. */
  reasons: string[];
  /** Its number, which only ever grows; -1 where none failed. */
  newestFailed: number;
}

const RECENT_MS = 3_600_000;
const MAX_READ = 100;
const MAX_REASONS = 5;
const POLL_MS = 2_000;

export function createSearchActivities(deps: ActivityDeps) {
  const clientOf = (settings: SearchConfig): Meilisearch =>
    new Meilisearch({
      host: resolveSecrets(settings.url, deps.config.directory),
      timeout: settings.timeoutMs,
      ...(settings.apiKey === undefined
        ? {}
        : { apiKey: resolveSecrets(settings.apiKey, deps.config.directory) }),
    });
  return {
    /** Whether Meilisearch is up, and what it makes of its tasks. Reads only, so a retry is safe. Throws InvalidInput, AuthenticationFailed. */
    async readSearch(place: Place): Promise<SearchStatus> {
      const settings = searchOf(deps, place);
      const client = clientOf(settings);
      const { available, detail } = await healthOf(client);
      return {
        queue: settings.queue,
        available,
        detail,
        tasks: available && settings.apiKey !== undefined ? await tasksOf(client, place) : null,
        maxLagMs: settings.maxLagSeconds * 1_000,
        waitMs: settings.waitMinutes * 60_000,
      };
    },

    /** Waits until Meilisearch is up, in one event of the history however long that takes. Reads only, so a retry is safe. */
    async awaitSearch({ untilMs, ...place }: Place & { untilMs: number }): Promise<SearchHealth> {
      const client = clientOf(searchOf(deps, place));
      const { signal } = currentActivity();
      const progress = { phase: 'wait for Meilisearch', done: 0, total: 0, unit: 'statements' as const };
      return withProgress(progress, async (report) => {
        for (let looks = 1; ; looks += 1) {
          const health = await healthOf(client);
          if (health.available || Date.now() >= untilMs) return health;
          report({ done: looks });
          await sleep(Math.min(POLL_MS, Math.max(0, untilMs - Date.now())), undefined, { signal });
        }
      });
    },
  };
}

export interface SearchHealth {
  available: boolean;
  detail: string;
}

/** No answer, and any answer but the one of a server that is well, is a no. */
async function healthOf(client: Meilisearch): Promise<SearchHealth> {
  try {
    const { status } = await client.health();
    if (status === 'available') return { available: true, detail: 'Meilisearch is available' };
    return { available: false, detail: `Meilisearch says that it is "${shown(String(status))}"` };
  } catch (error) {
    return { available: false, detail: `Meilisearch does not answer: ${textOf(error)}` };
  }
}

async function tasksOf(client: Meilisearch, place: Place): Promise<SearchTasks> {
  try {
    const open = await client.tasks.getTasks({
      statuses: ['enqueued', 'processing'],
      limit: 1,
      reverse: true,
    });
    const afterFinishedAt = new Date(Date.now() - RECENT_MS).toISOString();
    const failed = await client.tasks.getTasks({ statuses: ['failed'], afterFinishedAt, limit: MAX_READ });
    const [first] = open.results;
    const oldest = first === undefined ? Date.now() : Date.parse(first.enqueuedAt);
    if (Number.isNaN(oldest)) throw new Error('its oldest open task has no time');
    const counts = new Map<string, number>();
    for (const { indexUid, error } of failed.results) {
      const said = shown(`${error?.code ?? 'no code'}: ${error?.message ?? 'nobody says why'}`);
      const reason = printableLine(`${indexUid ?? 'no index'}: ${said}`);
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    const reasons = [...counts].sort(([, a], [, b]) => b - a).map(([reason]) => reason);
    return {
      open: open.total,
      oldestMs: Math.max(0, Date.now() - oldest),
      failed: failed.results.length,
      reasons: reasons.slice(0, MAX_REASONS),
      newestFailed: Math.max(-1, ...failed.results.map(({ uid }) => uid)),
    };
  } catch (error) {
    const refused = error instanceof MeilisearchApiError && [401, 403].includes(error.response.status);
    throw refused
      ? fail(
          'AuthenticationFailed',
          `Meilisearch of ${targetOf(place)} does not accept the key for its tasks: ${textOf(error)}. Correct \`search.apiKey\`.`,
        )
      : fail(
          'SearchUnknown',
          `Meilisearch of ${targetOf(place)} does not say what became of its tasks: ${textOf(error)}. This is tried again; look at the server.`,
          { retryable: true },
        );
  }
}

function textOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  const why = cause?.code ?? cause?.message;
  return printableLine(shown(`${message ?? String(error)}${why === undefined ? '' : ` (${why})`}`));
}

import type { Place } from '../../contract/place';
import { scrub } from '../../config/secrets';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { bookingsOf } from './settings';

export interface RecentChanges {
  configured: boolean;
  /** As the command prints them, newest first. */
  lines: string[];
  more: number;
}

const MAX_LINES = 20;
const MAX_LINE = 200;

/** Who may have broken it: changes of the code that confirms bookings. */
export function createRecentChangeActivities(deps: ActivityDeps) {
  return {
    /** What the configured command prints. Reads only. Throws CommandFailed. */
    async readRecentChanges({ service }: Place): Promise<RecentChanges> {
      const { recentChanges } = bookingsOf(deps, service);
      if (recentChanges === undefined) return { configured: false, lines: [], more: 0 };
      const printed = await readConfiguredCommand(deps, recentChanges);
      const lines = scrub(printed)
        .split('\n')
        .map((line) => line.trim().slice(0, MAX_LINE))
        .filter((line) => line !== '');
      return {
        configured: true,
        lines: lines.slice(0, MAX_LINES),
        more: Math.max(0, lines.length - MAX_LINES),
      };
    },
  };
}

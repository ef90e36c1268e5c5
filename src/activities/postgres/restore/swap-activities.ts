import type { ActivityDeps } from '../../support/deps';
import { estimateLostWrites } from './lost-writes';
import { findDatabase } from './database-marks';
import { countClientSessions } from '../session/sessions';
import { exchange, inMaintenance, liveName, type SwapInput } from './exchange';
import type { Fence } from '../../../contract/place';
import type { BackupRef, LostWrites, SwapResult } from '../../../contract/backup';

export function createSwapActivities(deps: ActivityDeps) {
  return {
    /**
     * Puts the restored copy in the place of the live database by renaming both in one transaction. Safe to retry: names
     * and marks tell what was done. Throws TargetNotOurs, WrongDatabase, StaleFencingToken, LockTimeout, CommandFailed
     * (sessions that do not leave).
     */
    async swapDatabases(input: SwapInput): Promise<SwapResult> {
      const live = liveName(deps, input);
      return exchange(deps, input, {
        live,
        incoming: input.restored,
        outgoing: input.previous,
        kind: 'previous',
      });
    },

    /** The way back: what was written to the copy since the swap stays in the copy. Safe to retry like the swap. */
    async swapBack(input: SwapInput): Promise<SwapResult> {
      const live = liveName(deps, input);
      return exchange(deps, input, {
        live,
        incoming: input.previous,
        outgoing: input.restored,
        kind: 'restored',
      });
    },

    /** Whether the copy is live, and how many sessions the live database has. Reads only. */
    async readSwapState(
      input: Omit<SwapInput, 'fence'> & { fence?: Fence },
    ): Promise<{ swapped: boolean; sessions: number }> {
      const live = liveName(deps, input);
      return inMaintenance(deps, input, async (client) => {
        const previous = await findDatabase(client, input.previous);
        const restored = await findDatabase(client, input.restored);
        const swapped = previous?.mark?.kind === 'previous' && restored === undefined;
        return { swapped, sessions: await countClientSessions(client, live) };
      });
    },

    /** Client sessions in the live database. Reads only. */
    async countSessions(input: { service: string; environment: string }): Promise<{ sessions: number }> {
      const live = liveName(deps, input);
      return inMaintenance(deps, input, async (client) => ({
        sessions: await countClientSessions(client, live),
      }));
    },

    /** At most how many rows were written since the backup's snapshot. Reads only. */
    async estimateLostWrites(input: BackupRef): Promise<LostWrites> {
      return estimateLostWrites(deps, input);
    },
  };
}

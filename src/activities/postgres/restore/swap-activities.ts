import type { ActivityDeps } from '../../support/deps';
import { carrySequences } from './carry-over';
import { estimateLostWrites, type LostInput } from './lost-writes';
import { findDatabase } from './database-marks';
import { inspectLive, type InspectInput } from './live-state';
import { checkRestorable } from './preflight';
import { closeToWriters, openToWriters, watchWrites, type WritersInput } from './writers';
import { countClientSessions } from '../session/sessions';
import { backward, exchange, forward, type SwapInput } from './exchange';
import { inMaintenance, liveName } from './maintenance';
import type { LiveState } from '../../../contract/database';
import type { DatabaseRef, Fence, Place } from '../../../contract/place';
import type { BackupRef, LostWrites, QuietResult, Restorability, SwapResult } from '../../../contract/backup';

export function createSwapActivities(deps: ActivityDeps) {
  return {
    /**
     * Puts the restored copy in the place of the live database by renaming both in one transaction. Safe to retry: names
     * and marks tell what was done. Throws TargetNotOurs, WrongDatabase, StaleFencingToken, LockTimeout, CommandFailed
     * (sessions that do not leave).
     */
    async swapDatabases(input: SwapInput): Promise<SwapResult> {
      return exchange(deps, input, forward(liveName(deps, input), input));
    },

    /** The way back: what was written to the copy since the swap stays in the copy. Safe to retry like the swap. */
    async swapBack(input: SwapInput): Promise<SwapResult> {
      return exchange(deps, input, backward(liveName(deps, input), input));
    },

    /** Whether the copy is live, and how many sessions the live database has. Reads only. */
    async readSwapState(
      input: Omit<SwapInput, 'fence'> & { fence?: Fence },
    ): Promise<{ swapped: boolean; sessions: number }> {
      const live = liveName(deps, input);
      return inMaintenance(deps, input, async (client) => {
        const previous = await findDatabase(client, input.previous);
        const restored = await findDatabase(client, input.restored);
        const kept =
          input.liveMissing === true
            ? (await findDatabase(client, live)) !== undefined
            : previous?.mark?.kind === 'previous';
        const swapped = kept && restored === undefined;
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

    /** What there is of the live database, whatever happened to it: see `inspectLive`. Reads only. */
    inspectLive: (input: InspectInput): Promise<LiveState> => inspectLive(deps, input),

    /** Whether the server could take a restore of that backup: see `checkRestorable`. Reads only. */
    checkRestorable: (input: BackupRef): Promise<Restorability> => checkRestorable(deps, input),

    /** At most how much was written since the backup's snapshot: see `estimateLostWrites`. Reads only. */
    estimateLostWrites: (input: LostInput): Promise<LostWrites | null> => estimateLostWrites(deps, input),

    /** Makes the live database read-only and ends the sessions of before: see `closeToWriters`. */
    closeToWriters: (input: WritersInput): Promise<{ ended: number }> => closeToWriters(deps, input),

    /** Takes back what `closeToWriters` did. */
    openToWriters: (
      input: WritersInput & { setting: string | null },
    ): Promise<{ ended: number; takesWrites: boolean }> => openToWriters(deps, input),

    /** Whether writes to the live database have stopped: see `watchWrites`. Reads only. */
    watchWrites: (place: Place & { sessionsStay?: boolean }): Promise<QuietResult> =>
      watchWrites(deps, place),

    /** Moves the sequences of `into` past what those of `from` have given out. Safe to repeat. */
    carrySequences: ({
      from,
      into,
    }: {
      from: DatabaseRef;
      into: DatabaseRef;
    }): Promise<{ moved: number; unreadable?: string[] }> => carrySequences(deps, from, into),
  };
}

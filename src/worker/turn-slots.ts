import type { CustomSlotSupplier, SlotPermit, WorkflowSlotInfo } from '@temporalio/worker';

/** How many turns a worker takes at a time. */
export interface TurnLimits {
  /** Of all runs and guards. */
  all: number;
  /** Of those that it does not know yet: new ones, and those that it has to read again. */
  unknown: number;
  /** With so many runs under way new ones begin only every `trickleMs`. */
  crowd: number;
  trickleMs: number;
}

interface Permit extends SlotPermit {
  unknown: boolean;
}

interface Waiter {
  unknown: boolean;
  begin(): void;
}

/** How often those who wait look again: nothing says when a run has ended. */
const LOOK_AGAIN_MS = 100;

/**
 * Slots for turns. Runs that have begun come before those that have not: under a storm a worker that began them all would give each
 * the same small share, none would reach its end, and the turns that are in time for none of them go back to the end of the
 * server's queue, behind every new one. What has not begun waits in that queue, where it costs nothing, ordered by severity.
 */
export function createTurnSlots(
  limits: TurnLimits,
  underWay: () => number,
): CustomSlotSupplier<WorkflowSlotInfo> {
  const used = { all: 0, unknown: 0 };
  let waiting: Waiter[] = [];
  let lastBegunAt = 0;
  let timer: NodeJS.Timeout | undefined;

  const isFree = (unknown: boolean): boolean => {
    if (used.all >= limits.all) return false;
    if (!unknown) return true;
    if (used.unknown >= limits.unknown) return false;
    return underWay() < limits.crowd || Date.now() - lastBegunAt >= limits.trickleMs;
  };

  const take = (unknown: boolean): Permit => {
    used.all += 1;
    if (unknown) {
      used.unknown += 1;
      lastBegunAt = Date.now();
    }
    return { unknown };
  };

  /** Those that are known first. */
  const look = (): void => {
    for (const unknown of [false, true])
      for (const one of waiting.filter((waiter) => waiter.unknown === unknown)) {
        if (!isFree(unknown)) break;
        waiting = waiting.filter((waiter) => waiter !== one);
        one.begin();
      }
    clearTimeout(timer);
    timer = waiting.length === 0 ? undefined : setTimeout(look, LOOK_AGAIN_MS).unref();
  };

  const giveBack = ({ unknown }: Permit): void => {
    used.all -= 1;
    if (unknown) used.unknown -= 1;
    look();
  };

  return {
    type: 'custom',
    reserveSlot: ({ isSticky }, signal) =>
      new Promise<SlotPermit>((resolve, reject) => {
        const unknown = !isSticky;
        let permit: Permit | undefined;
        const waiter = { unknown, begin: () => resolve((permit = take(unknown))) };
        signal.addEventListener('abort', () => {
          waiting = waiting.filter((one) => one !== waiter);
          // It came too late: nobody has it who could give it back.
          if (permit !== undefined) giveBack(permit);
          reject(signal.reason as Error);
        });
        waiting.push(waiter);
        look();
      }),
    tryReserveSlot: ({ isSticky }) => (isFree(!isSticky) ? take(!isSticky) : null),
    markSlotUsed: () => undefined,
    releaseSlot: ({ permit }) => giveBack(permit as Permit),
  };
}

import { within } from '../host/within';
import type { Client } from '@temporalio/client';
import { scrub } from '../config/secrets';

/** Thrown when it is not certain that Temporal has what it was given: the sender must come again. */
export class Unavailable extends Error {
  /** HTTP status of the answer. */
  readonly status = 503;
  constructor(message: string) {
    super(scrub(message));
    this.name = 'Unavailable';
  }
}

export interface CallLimits {
  /** Calls at the same time. */
  concurrent: number;
  /** Calls that wait for their turn; more are refused. */
  waiting: number;
}

// Measured on two cores: 270 starts/s whatever the concurrency above 30, so more would only wait elsewhere.
const DEFAULT_LIMITS: CallLimits = { concurrent: 64, waiting: 5_000 };

/** Calls of Temporal: bounded in number, so that a burst of alerts cannot exhaust memory, and in time. */
export function createTemporalCalls(client: Client, { concurrent, waiting }: CallLimits = DEFAULT_LIMITS) {
  // A Set keeps the order, and lets whoever has waited too long leave.
  const queue = new Set<() => void>();
  let running = 0;

  async function turn(untilMs: number): Promise<void> {
    if (running < concurrent) {
      running += 1;
      return;
    }
    if (queue.size >= waiting) throw new Unavailable('too many alerts at once');
    let go = (): void => undefined;
    const mine = new Promise<void>((resolve) => (go = resolve));
    queue.add(go);
    try {
      await by(untilMs, mine);
    } catch (error) {
      queue.delete(go);
      throw error;
    }
  }

  function endTurn(): void {
    const [next] = queue;
    if (next === undefined) {
      running -= 1;
      return;
    }
    // The place goes from hand to hand.
    queue.delete(next);
    next();
  }

  /** Throws Unavailable in place of every error that `isAnswer` does not know as an answer. */
  async function call<T>(
    untilMs: number,
    body: (client: Client) => Promise<T>,
    isAnswer: (error: Error) => boolean = () => false,
  ): Promise<T> {
    await turn(untilMs);
    try {
      // The client's own retries may sleep past its deadline.
      return await by(
        untilMs,
        client.withDeadline(untilMs, () => body(client)),
      );
    } catch (error) {
      if (error instanceof Unavailable || isAnswer(error as Error)) throw error;
      const { message, cause } = error as Error & { cause?: Error };
      throw new Unavailable(`Temporal did not take it: ${cause?.message ?? message}`);
    } finally {
      endTurn();
    }
  }

  return { call };
}

export type TemporalCalls = ReturnType<typeof createTemporalCalls>;

/** Throws Unavailable when `work` has not settled by then. */
export async function by<T>(untilMs: number, work: Promise<T>): Promise<T> {
  return within(work, untilMs - Date.now(), () => {
    throw tooLate();
  });
}

function tooLate(): Unavailable {
  return new Unavailable('Temporal did not answer in time');
}

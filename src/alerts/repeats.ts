import { createRecent } from './recent';
import { Unavailable } from './temporal-calls';
import type { AlertNotice } from '../contract/alert';

/** How a run hears of its alert. False: there is no such run any more. Throws Unavailable. */
export type Tell = (workflowId: string, notice: AlertNotice, untilMs: number) => Promise<boolean>;

/** `told`: the run knows. `soon`: it will within the interval. `ended`: nobody is there to be told. */
export type Heard = 'told' | 'soon' | 'ended';

interface Options {
  tell: Tell;
  /** Called when a run turns out to have ended. */
  onEnded: (workflowId: string) => void;
  /** Between two notices to one run. */
  everyMs: number;
  maxRuns: number;
}

interface Notices {
  status: AlertNotice['status'];
  /** Since the last notice. */
  count: number;
  /** Of the newest episode; ISO time. */
  startsAt?: string;
  /** Something is to be told. */
  due: boolean;
  resolvedToldAtMs: number;
  telling?: Promise<Heard>;
}

const AT_ONCE = 32;

/**
 * What runs are still to be told about their alerts. However often an alert comes, its run's history grows by at most
 * one notice each interval, and one more for each `resolved` that is told at once, itself once an interval.
 */
export function createRepeats({ tell, onEnded, everyMs, maxRuns }: Options) {
  const runs = createRecent<Notices>(maxRuns);
  const due = new Map<string, Notices>();

  function noticesOf(workflowId: string): Notices {
    const found = runs.get(workflowId);
    if (found !== undefined) return found;
    const fresh: Notices = { status: 'firing', count: 0, due: false, resolvedToldAtMs: -Infinity };
    runs.set(workflowId, fresh);
    return fresh;
  }

  function mark(workflowId: string, notices: Notices): void {
    notices.due = true;
    // Counts that nobody can be told are still in the metrics.
    if (due.size < maxRuns) due.set(workflowId, notices);
  }

  async function tellNow(workflowId: string, notices: Notices, untilMs: number): Promise<Heard> {
    const { status, count, startsAt } = notices;
    const notice: AlertNotice = {
      status,
      count,
      at: new Date().toISOString(),
      ...(startsAt === undefined ? {} : { startsAt }),
    };
    Object.assign(notices, { count: 0, due: false });
    due.delete(workflowId);
    if (status === 'resolved') notices.resolvedToldAtMs = Date.now();
    try {
      if (await tell(workflowId, notice, untilMs)) return 'told';
      onEnded(workflowId);
      return 'ended';
    } catch (error) {
      notices.count += count;
      if (status === 'resolved') notices.resolvedToldAtMs = -Infinity;
      mark(workflowId, notices);
      throw error;
    }
  }

  return {
    /** The alert came again. */
    count(workflowId: string, startsAt: string | null): void {
      const notices = noticesOf(workflowId);
      if (startsAt !== null && startsAt > (notices.startsAt ?? '')) notices.startsAt = startsAt;
      notices.status = 'firing';
      notices.count += 1;
      mark(workflowId, notices);
    },

    /** The alert is over: told at once. Throws Unavailable when the run could not be told. */
    async resolved(workflowId: string, untilMs: number): Promise<Heard> {
      const notices = noticesOf(workflowId);
      if (notices.telling !== undefined) return notices.telling;
      if (notices.status === 'resolved' && !notices.due) return 'told';
      notices.status = 'resolved';
      if (Date.now() - notices.resolvedToldAtMs < everyMs) {
        mark(workflowId, notices);
        return 'soon';
      }
      notices.telling = tellNow(workflowId, notices, untilMs).finally(() => delete notices.telling);
      return notices.telling;
    },

    /** A run with this ID has just begun: what was said to an earlier one does not count. */
    forget(workflowId: string): void {
      runs.delete(workflowId);
      due.delete(workflowId);
    },

    /** Tells every run what it does not know yet. Returns how many could not be told. */
    async flush(untilMs: number): Promise<number> {
      const waiting = [...due];
      let untold = 0;
      while (waiting.length > 0) {
        const told = await Promise.allSettled(
          waiting.splice(0, AT_ONCE).map(([workflowId, notices]) => tellNow(workflowId, notices, untilMs)),
        );
        for (const one of told) {
          if (one.status === 'fulfilled') continue;
          if (!(one.reason instanceof Unavailable)) throw one.reason;
          untold += 1;
        }
      }
      return untold;
    },
  };
}

export type Repeats = ReturnType<typeof createRepeats>;

import { createRecent } from './recent';
import { createRepeats, type Heard } from './repeats';
import type { PlannedRun } from './routing';
import { by, type TemporalCalls } from './temporal-calls';
import type { AlertNotice, Alert } from '../contract/alert';
import { priorityOf } from '../contract/priority';

/** A planned run that has an ID. */
export type Startable = PlannedRun & { workflowId: string };

interface Options {
  calls: TemporalCalls;
  taskQueue: string;
  /** Between two notices to one run. */
  noticeEveryMs?: number;
  maxRuns?: number;
  lingerMs?: number;
}

interface Known {
  /** Until then an alert is a repeat without Temporal being asked. */
  askAgainAtMs: number;
  /** Alerts of a group that fire, and when they last did. */
  firing: Map<string, number>;
}

const NOTICE_EVERY_MS = 60_000;
const MAX_RUNS = 50_000;
const REPEATABLE_FOR_MS = 5_000;
/** What began before a run that people led was closed, and is still sent so long afterwards, was not over. */
const LINGER_MS = 15 * 60_000;
const MAX_FINGERPRINTS = 1_000;
/** A sender that is silent about an alert for so long has forgotten it. */
const FIRING_FOR_MS = 24 * 3_600_000;
/** Temporal refuses a longer one. */
const MAX_SUMMARY_BYTES = 200;

/** Starts runs so that one alert is one run, however often it comes, and tells them what their alerts do. */
export function createStarter({
  calls,
  taskQueue,
  noticeEveryMs = NOTICE_EVERY_MS,
  maxRuns = MAX_RUNS,
  lingerMs = LINGER_MS,
}: Options) {
  const known = createRecent<Known>(maxRuns);
  const starting = new Map<string, Promise<boolean>>();
  const repeats = createRepeats({ tell, onEnded: askAgain, everyMs: noticeEveryMs, maxRuns });

  async function tell(workflowId: string, notice: AlertNotice, untilMs: number): Promise<boolean> {
    const isGone = (error: Error) => error.name === 'WorkflowNotFoundError';
    try {
      await calls.call(
        untilMs,
        (client) => client.workflow.getHandle(workflowId).signal('alert', notice),
        isGone,
      );
      return true;
    } catch (error) {
      if (isGone(error as Error)) return false;
      throw error;
    }
  }

  /** The run of a repeatable ID may have ended, and then the next alert starts another. */
  function askAgain(workflowId: string): void {
    const entry = known.get(workflowId);
    if (entry !== undefined && entry.askAgainAtMs !== Infinity) entry.askAgainAtMs = 0;
  }

  /** True when this call started it. Throws Unavailable unless Temporal has the run. */
  async function startOnce(run: Startable, { startsAt }: Alert, untilMs: number): Promise<boolean> {
    if (!run.lasting || startsAt === null) return tryStart(run, run.repeatable, untilMs);
    if (await tryStart(run, false, untilMs)) return true;
    // Senders repeat themselves for some minutes after people have closed what they led.
    const { closeTime } = await calls.call(untilMs, (client) =>
      client.workflow.getHandle(run.workflowId).describe(),
    );
    const closedMs = closeTime?.getTime() ?? Infinity;
    if (Date.parse(startsAt) <= closedMs && Date.now() - closedMs < lingerMs) return false;
    return tryStart(run, true, untilMs);
  }

  async function tryStart(
    { runbook, workflowId, input, summary, severity }: Startable,
    again: boolean,
    untilMs: number,
  ): Promise<boolean> {
    const isThere = (error: Error) => error.name === 'WorkflowExecutionAlreadyStartedError';
    try {
      await calls.call(
        untilMs,
        (client) =>
          client.workflow.start(runbook, {
            workflowId,
            taskQueue,
            args: [input],
            workflowIdReusePolicy: again ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE',
            workflowIdConflictPolicy: 'FAIL',
            staticSummary: oneLine(summary),
            priority: priorityOf({ service: String(input['service']), priority: severity }),
          }),
        isThere,
      );
      repeats.forget(workflowId);
      return true;
    } catch (error) {
      if (isThere(error as Error)) return false;
      throw error;
    }
  }

  function remember({ workflowId, repeatable }: Startable): void {
    const firing = known.get(workflowId)?.firing ?? new Map<string, number>();
    const askAgainAtMs = repeatable ? Date.now() + REPEATABLE_FOR_MS : Infinity;
    known.set(workflowId, { askAgainAtMs, firing });
  }

  function markFiring({ workflowId, grouped }: Startable, alert: Alert): void {
    const firing = known.get(workflowId)?.firing;
    if (!grouped || firing === undefined) return;
    const who = nameOf(alert);
    if (firing.size < MAX_FINGERPRINTS || firing.has(who)) firing.set(who, Date.now());
  }

  /** One start for all that ask for it meanwhile. */
  async function startOrJoin(run: Startable, alert: Alert, untilMs: number): Promise<boolean> {
    const { workflowId } = run;
    const others = starting.get(workflowId);
    if (others !== undefined) {
      await by(untilMs, others);
      return false;
    }
    const mine = startOnce(run, alert, untilMs).then((isNew) => {
      remember(run);
      return isNew;
    });
    starting.set(workflowId, mine);
    try {
      return await mine;
    } finally {
      starting.delete(workflowId);
    }
  }

  return {
    /** When this returns, Temporal has the run. Throws Unavailable. */
    async firing(run: Startable, alert: Alert, untilMs: number): Promise<'started' | 'repeat'> {
      const { workflowId } = run;
      const isKnown = Date.now() < (known.get(workflowId)?.askAgainAtMs ?? 0);
      const isNew = isKnown ? false : await startOrJoin(run, alert, untilMs);
      markFiring(run, alert);
      if (isNew) return 'started';
      repeats.count(workflowId, alert.startsAt);
      return 'repeat';
    },

    /** Never starts anything. `others`: alerts of the same group still fire. Throws Unavailable. */
    async resolved(run: Startable, alert: Alert, untilMs: number): Promise<Heard | 'others'> {
      const { workflowId } = run;
      // Whoever starts it answers for that; here it matters only that it has been tried.
      const others = starting.get(workflowId);
      if (others !== undefined)
        await by(
          untilMs,
          others.catch(() => false),
        );
      const firing = known.get(workflowId)?.firing;
      firing?.delete(nameOf(alert));
      const since = Date.now() - FIRING_FOR_MS;
      if (run.grouped && [...(firing?.values() ?? [])].some((at) => at > since)) return 'others';
      askAgain(workflowId);
      return repeats.resolved(workflowId, untilMs);
    },

    /** Tells runs what they do not know yet. Returns how many could not be told. */
    flush: (untilMs: number) => repeats.flush(untilMs),
    noticeEveryMs,
  };
}

export type Starter = ReturnType<typeof createStarter>;

/** A group may have alerts of several senders, and each says for itself when it is over. */
const nameOf = ({ source, fingerprint }: Alert): string => JSON.stringify([source, fingerprint]);

/** In bytes, because that is what Temporal counts. */
function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (Buffer.byteLength(line) <= MAX_SUMMARY_BYTES) return line;
  const cut = Buffer.from(line)
    .subarray(0, MAX_SUMMARY_BYTES - 3)
    .toString('utf8');
  return `${cut.replace(/\ufffd+$/, '')}…`;
}

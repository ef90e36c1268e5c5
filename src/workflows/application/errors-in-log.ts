import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { ErrorLog, LogGroup } from '../../activities/observe/logs';
import type { Place } from '../../contract/place';
import { causeOf, countOf, duration, utc, type Run } from '../kit';

/** What a log has of errors since an ISO time. Null: no log is configured. */
export type ErrorsSeen = { since: string } & ({ log: ErrorLog | null } | { unread: string });

/** Whoever waits for a diagnosis waits no longer than that for a log. */
const PATIENCE_MS = 60_000;
const MAX_BACK_MS = 3_600_000;
/** Errors come before the alert that they cause. */
const BEFORE_MS = 300_000;
const TOLD = 3;
const MAX_FRAME = 120;

/** Errors since shortly before `beganAtMs`, of an hour at most. A log that cannot be read is on the timeline and ends nothing. */
export async function lookAtLog(run: Run, place: Place, beganAtMs: number): Promise<ErrorsSeen> {
  const since = isoOf(Math.max(beganAtMs - BEFORE_MS, Date.now() - MAX_BACK_MS));
  try {
    const log = await run.step(
      'Errors in the log',
      (act) => inTime(PATIENCE_MS, () => act.readErrorLog({ ...place, since })),
      { kind: 'long', undo: 'read-only', describe: (found) => describeLog({ since, log: found }) },
    );
    return { since, log };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { since, unread: causeOf(error).message };
  }
}

/** Reading a log may be permitted to take long; that is a failure here, and no cancellation of the run. */
export async function inTime<T>(limitMs: number, read: () => Promise<T>): Promise<T> {
  try {
    return await CancellationScope.withTimeout(limitMs, read);
  } catch (error) {
    if (!isCancellation(error) || CancellationScope.current().consideredCancelled) throw error;
    throw ApplicationFailure.nonRetryable(
      `the log gave no answer within ${duration(limitMs)}. Look at it by hand, or let observe.logs ask for less.`,
      'LogTooSlow',
    );
  }
}

/** In one line of the timeline. */
function describeLog({ since, log }: { since: string; log: ErrorLog | null }): string {
  if (log === null) return 'not looked at: observe.logs is not configured';
  const seen = `${countOf(log.errors, 'error')}, ${countOf(log.warnings, 'warning')} since ${utc(since)} UTC`;
  const cut = log.cut ? ' in what could be read of it' : '';
  return [`${seen}${cut}`, ...log.topErrors.map(describeKind)].join('; ');
}

/** For those who mend by hand: the most frequent errors. Empty where no log is configured, which the timeline says. */
export function logSentence(seen: ErrorsSeen | null): string {
  if (seen === null) return '';
  if ('unread' in seen) return `The log could not be read (${seen.unread}).`;
  const { log, since } = seen;
  if (log === null) return '';
  if (log.errors === 0)
    return log.cut
      ? `No error in what could be read of the log since ${utc(since)} UTC.`
      : `No error in the log since ${utc(since)} UTC.`;
  return `In the log since ${utc(since)} UTC: ${kindsText(log.topErrors, TOLD)}.`;
}

export function kindsText(kinds: LogGroup[], most: number): string {
  return kinds.slice(0, most).map(brief).join('; ');
}

function describeKind({ count, message, stack, requestIds }: LogGroup): string {
  return `${count} x ${message}${inBrackets(stack, requestsText(requestIds))}`;
}

/** With the first line of its stack trace alone. */
function brief({ count, message, stack, requestIds }: LogGroup): string {
  const [frame = ''] = stack.split(' < ');
  return `${count} x ${message}${inBrackets(frame.slice(0, MAX_FRAME), requestsText(requestIds))}`;
}

function requestsText(ids: string[] = []): string {
  return ids.length === 0 ? '' : `${ids.length === 1 ? 'request' : 'requests'} ${ids.join(', ')}`;
}

function inBrackets(...parts: string[]): string {
  const said = parts.filter((part) => part !== '');
  return said.length === 0 ? '' : ` (${said.join('; ')})`;
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

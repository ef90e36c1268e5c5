import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  isCancellation,
} from '@temporalio/workflow';
import type { Outcome } from '../../contract/report';

/** Ends a run on purpose with an outcome; thrown by the kit, never by a procedure's own code. */
export class Stop extends Error {
  constructor(
    readonly outcome: Outcome,
    readonly summary: string,
  ) {
    super(`${outcome}: ${summary}`);
    this.name = 'Stop';
  }
}

/** The innermost message of a failure, which is the one that says what happened. */
export function causeOf(error: unknown): { type: string; message: string } {
  let current = error;
  while (
    (current instanceof ActivityFailure || current instanceof ChildWorkflowFailure) &&
    current.cause !== undefined
  ) {
    current = current.cause;
  }
  if (current instanceof ApplicationFailure)
    return { type: current.type ?? 'Failure', message: current.message };
  if (isCancellation(current)) return { type: 'Cancelled', message: 'cancelled' };
  if (current instanceof Error) return { type: current.name, message: current.message };
  return { type: 'Error', message: String(current) };
}

/** Whether an activity said itself that it failed and that no further attempt can help, so its outcome is known. */
export function isRefusal(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && cause.nonRetryable === true;
}

/** A check of a runbook that did not hold. */
export function verificationFailed(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'VerificationFailed');
}

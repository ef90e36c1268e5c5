import { ApplicationFailure } from '@temporalio/common';
import { fail } from '../support/failure';

/**
 * What handles a secret may print it, also one that nobody here knows: whatever it said stays out of messages, and only how it
 * ended is told.
 */
export async function hushed<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApplicationFailure) || !/^(CommandFailed|HttpFailed)$/.test(error.type ?? ''))
      throw error;
    const status = statusOf(error);
    const how = error.type === 'CommandFailed' ? 'its command ended with status' : 'the answer was';
    const ended =
      status === undefined ? 'it could not be run, or gave no answer in time' : `${how} ${status}`;
    const retryable = error.nonRetryable !== true;
    throw fail(
      error.type ?? 'CommandFailed',
      `Could not ${action}: ${ended}. What was said is not shown, because it may hold the secret${retryable ? '; this is tried again' : '; try it by hand to see why'}.`,
      { retryable, ...(status === undefined ? {} : { details: { status } }) },
    );
  }
}

/** Exit status of a command, or status of an answer. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof ApplicationFailure)) return undefined;
  const [details] = (error.details ?? []) as { status?: unknown }[];
  return typeof details?.status === 'number' ? details.status : undefined;
}

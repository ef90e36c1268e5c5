import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { Activities } from '../../activities';

/** The run hears nobody meanwhile. */
const QUICK_TIMEOUT = '1 s';

type Activity = (...args: unknown[]) => Promise<unknown>;

/** Activities as a part of the run's own turn; what is not done quickly, or fails, is done as `ordinary`. For reads alone. */
export function quickly(summary: string, ordinary: Activities): Activities {
  const local = proxyLocalActivities<Activities>({
    startToCloseTimeout: QUICK_TIMEOUT,
    retry: { maximumAttempts: 1 },
    summary,
  });
  const byName = (activities: Activities, name: string) =>
    (activities as unknown as Record<string, Activity>)[name]!;
  return new Proxy(ordinary, {
    get:
      (_, name: string) =>
      (...args: unknown[]) =>
        byName(
          local,
          name,
        )(...args).catch((error: unknown) => {
          if (isCancellation(error) || isFinal(error)) throw error;
          return byName(ordinary, name)(...args);
        }),
  });
}

function isFinal(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  return cause instanceof ApplicationFailure && cause.nonRetryable === true;
}

import { WorkflowNotFoundError, type Client } from '@temporalio/client';

/**
 * Who asks holds a turn and a local activity of its run, and the one that is asked needs them to answer. Fewer than the turns that a
 * worker has for what it does not know: runs that have just begun, and a guard that the first of them has started.
 */
const AT_ONCE = 12;
const ANSWER_MS = 3_000;
/** Where one was late others will be, and what is asked twice costs more. */
const REST_MS = 5_000;

/** Asks entities by Update: the answer comes with the request, and the server writes one turn where a signal and its answer are two. */
export function createAsking() {
  let asking = 0;
  let restUntil = 0;

  /**
   * The answer; undefined where there is none at once, whatever the reason. The request may have been heard all the same, so
   * it must be safe to say it again, by a signal, which waits for its turn.
   */
  return async function askAtOnce<T>(
    client: Client,
    workflowId: string,
    update: string,
    argument: unknown,
  ): Promise<T | undefined> {
    if (asking >= AT_ONCE || Date.now() < restUntil) return undefined;
    asking += 1;
    try {
      return await client.withDeadline(Date.now() + ANSWER_MS, () =>
        client.workflow.getHandle(workflowId).executeUpdate<T, [unknown]>(update, { args: [argument] }),
      );
    } catch (error) {
      // One that is not there yet is started by the signal.
      if (!(error instanceof WorkflowNotFoundError)) restUntil = Date.now() + REST_MS;
      return undefined;
    } finally {
      asking -= 1;
    }
  };
}

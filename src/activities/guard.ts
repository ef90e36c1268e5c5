import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { GUARD_TYPE, guardId, type LeaseRequest } from '../workflows/kit/guard-protocol';
import type { ActivityDeps } from './deps';
import { fail } from './support/failure';

/** Talks to guards. Asking twice is safe: the guard knows a run that already waits or holds. */
export function createGuardActivities({ config, client }: ActivityDeps) {
  return {
    /** Asks the guard of a target for its lease, starting the guard where there is none. */
    async askGuard({ target, ...request }: LeaseRequest & { target: string }): Promise<void> {
      await need(client).workflow.signalWithStart(GUARD_TYPE, {
        workflowId: guardId(target),
        taskQueue: config.temporal.taskQueue,
        args: [{ target }],
        signal: 'request',
        signalArgs: [request],
      });
    },

    /** Whether that very run is still running. Reads only. */
    async isRunning({ workflowId, runId }: { workflowId: string; runId: string }): Promise<boolean> {
      try {
        const { status } = await need(client).workflow.getHandle(workflowId, runId).describe();
        return status.name === 'RUNNING' || status.name === 'PAUSED';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
  };
}

function need(client: Client | undefined): Client {
  if (client === undefined)
    throw fail('InvalidInput', 'these activities were created without a Temporal client');
  return client;
}

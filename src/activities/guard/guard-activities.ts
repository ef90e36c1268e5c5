import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import {
  GUARD_ALL,
  GUARD_TYPE,
  guardId,
  type GuardState,
  type LeaseRequest,
  type SickReport,
  type Admission,
} from '../../contract/guard';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';

/** Talks to guards. Asking twice is safe: the guard knows a run that already waits or holds. */
export function createGuardActivities({ config, client }: ActivityDeps) {
  const signalGuard = (target: string, signal: string, argument: unknown) =>
    need(client).workflow.signalWithStart(GUARD_TYPE, {
      workflowId: guardId(target),
      taskQueue: config.temporal.taskQueue,
      args: [{ target }],
      signal,
      signalArgs: [argument],
    });

  return {
    /** Asks the guard of a target for its lease, starting the guard where there is none. */
    async askGuard({ target, ...request }: LeaseRequest & { target: string }): Promise<void> {
      await signalGuard(target, 'request', request);
    },

    /** Asks the guard of a service, or of everything, whether a run that nobody started may go ahead. */
    async seekAdmission({ target, ...request }: Admission & { target: string }): Promise<void> {
      await signalGuard(target, 'admit', request);
    },

    /**
     * Tells the guard of everything that the automation of a service is in trouble. Returns why everything is paused
     * now, or null. Saying it twice is safe: services are counted, not reports.
     */
    async reportSick(report: SickReport): Promise<{ paused: string | null }> {
      const handle = await signalGuard(GUARD_ALL, 'sick', report);
      const { paused } = await handle.query<GuardState>('state');
      return { paused: paused?.by === 'breaker' ? paused.reason : null };
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

import type { Alert } from '../../src/contract/alert';
import { compileRoutes, planRun } from '../../src/alerts/routing';
import { createStarter, type Startable } from '../../src/alerts/start';
import { createTemporalCalls } from '../../src/alerts/temporal-calls';
import { alertOf, configOf } from './intake-support';
import { useTemporal } from './temporal-support';

export const MINUTE = 60_000;
const SIGNALED = 'workflowExecutionSignaledEventAttributes';

export const plan = (alert: Partial<Alert>, route: Record<string, unknown> = {}): [Startable, Alert] => {
  const config = configOf({
    routes: [
      {
        name: 'r',
        match: { source: 'monitor' },
        runbook: 'checkBackups',
        input: { service: 'booking' },
        ...route,
      },
    ],
  });
  const whole = alertOf(alert);
  return [planRun(config, compileRoutes(config)[0]!, whole) as Startable, whole];
};

export const soon = () => Date.now() + MINUTE;

/** A Temporal, starters of runs there, and what became of those. */
export function useStarters() {
  const temporal = useTemporal();
  const { client } = temporal;
  return {
    temporal,
    /** A starter that knows nothing yet, as after a restart of the intake. */
    freshStarter: (noticeEveryMs = MINUTE, lingerMs?: number) =>
      createStarter({ calls: createTemporalCalls(client), taskQueue: 'runbooks', noticeEveryMs, lingerMs }),
    describeRun: ([{ workflowId }]: [Startable, Alert]) => client.workflow.getHandle(workflowId).describe(),
    terminate: ([{ workflowId }]: [Startable, Alert]) =>
      client.workflow.getHandle(workflowId).terminate('over'),
    /** What a run was told, in order. */
    noticesOf: async (workflowId: string): Promise<{ status: string; count: number; at: string }[]> => {
      const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
      const signals = (events ?? []).map((event) => event[SIGNALED]).filter((one) => one != null);
      return signals.map(
        ({ input }) =>
          JSON.parse(Buffer.from(input!.payloads![0]!.data!).toString()) as {
            status: string;
            count: number;
            at: string;
          },
      );
    },
  };
}

import { startIntake, type IntakeOptions, type RunningIntake } from '../../src/worker/intake';
import { configOf, memoryLog, type Answered } from './intake-support';
import { useTemporal } from './temporal-support';

export const NOWHERE = '127.0.0.1:1';
export const SECRET = 'a-secret-that-signs';

/** Starts intakes, which end with their test. */
export function useIntakes(temporal = { address: NOWHERE }) {
  const running: RunningIntake[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop()));
  });
  /** An intake of these tests, with what it logged. */
  return async (
    alerts: Record<string, unknown> = {},
    address = temporal.address,
    options: IntakeOptions = {},
  ) => {
    const { log, entries } = memoryLog();
    const config = configOf(alerts, address);
    const started = await startIntake(config, { log, ...options });
    running.push(started);
    return { ...started, entries, monitor: `${started.url}/alerts/monitor` };
  };
}

/** A Temporal, and intakes that start runs there. */
export function useServer() {
  const temporal = useTemporal();
  const { client, line } = temporal;
  return {
    client,
    line,
    intake: useIntakes(temporal),
    isStarted: (workflowId: string) =>
      client.workflow
        .getHandle(workflowId)
        .describe()
        .then(
          () => true,
          () => false,
        ),
  };
}

export const metricsOf = async (url: string) => (await fetch(`${url}/metrics`)).text();
export const resultsOf = ({ body }: Answered) => body.alerts?.map(({ result }) => result);

import { DEFAULT_SWITCHES, setSwitches } from '../../examples/booking/switches';
import { until } from '../support/postgres';
import { configure, startDriver } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

export type SecurityWorld = Awaited<ReturnType<typeof startSecurityWorld>>;

const SECURITY = 'environments.production.security';

/** The sample, and a worker with settings of `security` beside the usual ones. `who` is let in again at each start. */
export async function startSecurityWorld(who: string) {
  const driver = await startDriver(400, false);
  const { stack } = driver;
  const { production } = stack.config.services['booking']!.environments;
  const usual = structuredClone((production as unknown as { security: Record<string, unknown> }).security);
  let worker: WorkerProcess | undefined;
  const statusFrom = async (from: string) =>
    (await fetch(`${stack.app.url}/health`, { headers: { 'x-forwarded-for': from } })).status;
  const work = async () => {
    worker = await startWorkerProcess(stack.configFile);
  };
  return {
    driver,
    isolations: usual['isolations'] as Record<string, Record<string, unknown>>,
    statusFrom,
    work,
    start: async (
      security: Record<string, unknown> = {},
      settings: Record<string, unknown> = {},
    ): Promise<void> => {
      await worker?.stop();
      setSwitches(stack.directory, DEFAULT_SWITCHES);
      await until(async () => (await statusFrom(who)) === 200);
      const quick = { 'environments.production.secrets.session-signing.settleSeconds': 1 };
      configure(driver, { [SECURITY]: { ...usual, ...security }, ...quick, ...settings });
      await work();
    },
    kill: async () => worker!.kill(),
    stop: async () => {
      await worker?.stop();
      await stack.stop();
    },
  };
}

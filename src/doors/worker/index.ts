/** `durable-runbooks/worker`: a worker in a process of one's own. */
import type { WorkerOptions } from '@temporalio/worker';
import { loadProject } from '../../check/load-project';
import type { Pack } from '../../packs/definition/pack';
import { startWorker as start, type RunningWorker } from '../../worker/worker';

export type { RunningWorker } from '../../worker/worker';
export { logBriefly } from '../../worker/log';

export interface StartWorkerOptions {
  /** Beside those that the configuration names. */
  packs?: readonly Pack[];
  /** Over the usual options of Temporal's worker; activities are added to those of the packs. */
  worker?: Partial<WorkerOptions>;
}

/**
 * Starts a worker for every runbook of the packs, and what watches it where `worker.listen` says so. `config` is the path
 * of a `runbooks.yaml`. A bundle that is not there yet, or stale, is built first. Throws ConfigError, PackError, and when
 * Temporal cannot be reached.
 */
export function startWorker(config: string, options: StartWorkerOptions = {}): Promise<RunningWorker> {
  return start(loadProject(config, options.packs), options.worker);
}

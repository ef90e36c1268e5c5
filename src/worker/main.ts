import { loadProject } from '../check/load-project';
import { configPath, type LoadedConfig } from '../config/load';
import { scrub } from '../config/secrets';
import { printable } from '../contract/printable';
import { connectionOptions, unreachableText } from '../config/temporal';
import { stopSignal } from '../host/stop-signal';
import { logBriefly } from './log';
import { sdkExporter } from './metrics';
import type { WorkerVersion } from './versioning';
import { startWorker } from './worker';

/**
 * The worker process: runs until it gets a signal, then finishes what it has accepted. `listen` takes the place of
 * `worker.listen` of the configuration.
 */
export async function runWorker(configFile: string, listen?: string): Promise<void> {
  const told = stopSignal();
  const config = loadProject(configFile);
  if (listen !== undefined) config.worker.listen = listen;
  await installRuntime(config.worker.listen !== undefined);
  const { worker, stopped, healthUrl, version } = await startWorker(config).catch((error: Error) => {
    throw error.name === 'TransportError' ? new TemporalUnreachable(config, error) : error;
  });
  console.log(
    `worker for ${Object.keys(config.services).join(', ')} listens on task queue ${config.temporal.taskQueue}, ${versionText(version)}`,
  );
  if (version.note !== undefined) console.error(`! ${version.note}`);
  if (healthUrl !== undefined) console.log(`health and metrics on ${healthUrl}`);
  void told.then(() => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  });
  await stopped;
}

/** Thrown where no server answers, in words for people. */
class TemporalUnreachable extends Error {
  constructor(config: LoadedConfig, { message }: Error) {
    super(unreachableText(connectionOptions(config).connection.address, message));
    this.name = 'TemporalUnreachable';
  }
}

const versionText = ({ deploymentName, buildId }: WorkerVersion): string =>
  deploymentName === undefined ? `build ${buildId}` : `deployment ${deploymentName}, build ${buildId}`;

const PORT_TRIES = 5;

/** Before the first connection, and once: the SDK's runtime belongs to the process. */
async function installRuntime(withMetrics: boolean): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      logBriefly('WARN', withMetrics ? await sdkExporter() : undefined);
      return;
    } catch (error) {
      // Somebody else was quicker to take the free port.
      if (!withMetrics || attempt >= PORT_TRIES) throw error;
    }
  }
}

if (require.main === module) {
  runWorker(configPath(process.argv[2])).catch((error: Error) => {
    console.error(printable(scrub(error.message)));
    // As the command line has it.
    process.exitCode = error.name === 'TemporalUnreachable' ? 4 : 1;
  });
}

import { loadProject } from '../check/load-project';
import { configPath, type LoadedConfig } from '../config/load';
import { scrub } from '../config/secrets';
import { printable } from '../contract/printable';
import { temporalPlace, unreachableText } from '../config/temporal';
import { endSoon } from '../host/end-soon';
import { stopSignal } from '../host/stop-signal';
import { logBriefly } from './log';
import { sdkExporter } from './metrics';
import type { WorkerVersion } from './versioning';
import { NoAnswer, startWorker } from './worker';

/**
 * The worker process: runs until it gets a signal, then finishes what it has accepted within
 * `worker.shutdownGraceSeconds`; a second signal ends it at once. `listen` takes the place of
 * `worker.listen` of the configuration.
 */
export async function runWorker(configFile: string, listen?: string): Promise<void> {
  const told = stopSignal();
  const config = loadProject(configFile);
  if (listen !== undefined) config.worker.listen = listen;
  await installRuntime(config.worker.listen !== undefined);
  const { worker, stopped, healthUrl, version, warnings } = await startWorker(config, {
    shutdownGraceTime: config.worker.shutdownGraceSeconds * 1_000,
  }).catch((error: Error) => {
    throw error.name === 'TransportError' || error instanceof NoAnswer
      ? new TemporalUnreachable(config, error)
      : error;
  });
  console.log(
    `worker for ${Object.keys(config.services).join(', ')} listens on task queue ${config.temporal.taskQueue}, ${versionText(version)}`,
  );
  for (const warning of warnings) console.error(`! ${warning}`);
  if (healthUrl !== undefined) console.log(`health and metrics on ${healthUrl}`);
  void told.then(() => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
    endAtOnceWhenToldAgain();
  });
  await stopped;
}

/** Thrown where no server answers, in words for people. */
class TemporalUnreachable extends Error {
  constructor(config: LoadedConfig, { message }: Error) {
    const { tls, apiKey } = config.temporal;
    super(unreachableText(temporalPlace(config).address, message, Boolean(tls ?? apiKey)));
    this.name = 'TemporalUnreachable';
  }
}

/** npm hands on a signal that the terminal has sent already: only a later one is somebody's impatience. */
const AGAIN_MS = 2_000;

/** Like a crash: Temporal notices within seconds, and what was begun here begins again elsewhere. */
function endAtOnceWhenToldAgain(): void {
  const toldMs = Date.now();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (Date.now() - toldMs < AGAIN_MS) return;
      console.error(
        'told to stop again: ended at once, and what it was doing begins again on another worker',
      );
      process.exit(1);
    });
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
  runWorker(configPath(process.argv[2]))
    .catch((error: Error) => {
      console.error(printable(scrub(error.message)));
      // As the command line has it.
      process.exitCode = error.name === 'TemporalUnreachable' ? 4 : 1;
    })
    .finally(endSoon);
}

import { configPath, loadConfig } from '../config/load';
import { scrub } from '../config/secrets';
import { logBriefly } from './log';
import { startWorker } from './worker';

/** The worker process: runs until it gets a signal, then finishes what it has accepted. */
export async function runWorker(configFile: string): Promise<void> {
  logBriefly('WARN');
  const config = loadConfig(configFile);
  const { worker, stopped } = await startWorker(config);
  console.log(
    `worker for ${Object.keys(config.services).join(', ')} listens on task queue ${config.temporal.taskQueue}`,
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Not once: a second one, forwarded by npm, would end us before what was accepted is finished.
    process.on(signal, () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    });
  }
  await stopped;
}

if (require.main === module) {
  runWorker(configPath(process.argv[2])).catch((error: unknown) => {
    console.error(scrub((error as Error).message));
    process.exitCode = 1;
  });
}

import { dirname, join } from 'node:path';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { ListrTask } from 'listr2' with { 'resolution-mode': 'import' };
import { loadProject } from '../check/load-project';
import { ConfigError, type LoadedConfig } from '../config/load';
import { temporalPlace } from '../config/temporal';
import { waitingAddress } from '../contract/ui-address';
import { dataPath } from '../host/cache';
import { isListening } from '../host/listening';
import { stopSignal } from '../host/stop-signal';
import { logBriefly } from '../worker/log';
import { startWorker, type RunningWorker } from '../worker/worker';
import { showSteps } from './show-steps';
import { startTemporal, type LocalTemporal } from './temporal';

const LOOPBACK = /^(localhost|127\.0\.0\.1):(\d+)$/;
const UI_PORT = 8233;

/**
 * Temporal with its UI where a configuration of one's own expects it, and a worker of that configuration; stays until
 * Ctrl-C. Throws ConfigError where the configuration names a server elsewhere, or one listens there already.
 */
export async function upOwn(configFile: string, data?: string): Promise<number> {
  const interrupted = stopSignal(['SIGINT', 'SIGTERM', 'SIGHUP']);
  const config = loadProject(configFile);
  const port = await portOf(config);
  logBriefly('ERROR');
  const directory = join(data ?? mkdtempSync(join(parentFolder(), 'own-')), 'temporal');
  let temporal: LocalTemporal | undefined;
  let worker: RunningWorker | undefined;
  const tasks: ListrTask[] = [
    {
      title: 'Temporal server and UI',
      task: async (_, task) => {
        const uiPort = (await isListening({ host: '127.0.0.1', port: UI_PORT })) ? undefined : UI_PORT;
        const progress = (doing: string) => (task.output = doing);
        temporal = await startTemporal({
          directory,
          port,
          ...(uiPort === undefined ? {} : { uiPort }),
          progress,
        });
      },
    },
    {
      title: `Worker for ${Object.keys(config.services).join(', ')}`,
      task: async () => {
        worker = await startWorker(config);
      },
    },
  ];
  try {
    const ended = await Promise.race([
      showSteps(tasks).then(() => 'ready' as const),
      interrupted.then(() => 'interrupted' as const),
    ]);
    if (ended === 'interrupted') return 130;
    printWhatNow(temporal!, worker!.warnings, configFile, data);
    // It ends by itself only where it failed.
    await Promise.race([interrupted, worker!.stopped]);
    return 0;
  } finally {
    await worker?.stop();
    await temporal?.stop();
    if (data === undefined) rmSync(dirname(directory), { recursive: true, force: true });
  }
}

function parentFolder(): string {
  const parent = dataPath('stacks');
  mkdirSync(parent, { recursive: true });
  return parent;
}

async function portOf(config: LoadedConfig): Promise<number> {
  const { address, namespace } = temporalPlace(config);
  const refuse = (why: string) =>
    new ConfigError(config.file, [
      `temporal: ${why}. A worker for a server that is there: \`runbooks worker --config ${config.file}\``,
    ]);
  const port = Number(LOOPBACK.exec(address)?.[2]);
  if (Number.isNaN(port)) throw refuse(`an embedded server stands at 127.0.0.1 only, and not at ${address}`);
  if (namespace !== 'default')
    throw refuse(`an embedded server has the namespace default, and not ${namespace}`);
  if (config.temporal.tls !== undefined) throw refuse('an embedded server has no TLS');
  if (await isListening({ host: '127.0.0.1', port }))
    throw refuse(`somebody listens at ${address} already; an address of its own: temporal.address`);
  return port;
}

function printWhatNow(
  { uiUrl }: LocalTemporal,
  warnings: string[],
  configFile: string,
  kept: string | undefined,
): void {
  for (const warning of warnings) console.error(`! ${warning}`);
  console.log(`
Temporal UI         ${uiUrl}
Runs that wait      ${waitingAddress(uiUrl, 'default')}

In another terminal:
  runbooks list --config ${configFile}
  runbooks check --config ${configFile}
  runbooks start <runbook> --config ${configFile} --watch

Its schedules and alerts do not start anything: \`runbooks schedules apply\`, \`runbooks alerts\`.

Ctrl-C stops it${kept === undefined ? ', and deletes its runs. `--data <folder>` keeps them.' : `; ${kept} keeps its runs.`}`);
}

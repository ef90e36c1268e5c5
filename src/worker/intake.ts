import type { Client } from '@temporalio/client';
import type { Project } from '../catalogue/catalogue';
import { loadProject } from '../check/load-project';
import { collectFromTemporal } from '../metrics/collect';
import { startTracing } from '../telemetry/start-tracing';
import { stopSignal } from '../host/stop-signal';
import { createRegistry } from '../metrics/registry';
import { createIntake } from '../alerts/intake';
import { lazyClient } from '../alerts/lazy-client';
import { logAsJson, type Log } from '../alerts/log';
import { createAlertMetrics } from '../alerts/metrics';
import { createReceive } from '../alerts/receive';
import { createReplayStore } from '../alerts/replay-store';
import { secretResolver } from '../alerts/secret-resolver';
import { createServer } from '../alerts/server';
import { createStarter } from '../alerts/start';
import { createTemporalCalls } from '../alerts/temporal-calls';
import { temporalProblem } from '../alerts/temporal-problem';

export interface IntakeOptions {
  /** Default: a connection of its own, made when it is needed and made again after an outage. */
  client?: Client;
  /** Default: that of the configuration; 0 takes a free one. */
  port?: number;
  log?: Log;
  /** Between two notices to one run. */
  noticeEveryMs?: number;
  /** Default: 5 s. Senders that hang up sooner are answered sooner. */
  answerWithinMs?: number;
}

export interface RunningIntake {
  url: string;
  /** Takes nothing new, finishes what it has taken, tells runs what they do not know yet. */
  stop(): Promise<void>;
}

const FLUSH_MS = 5_000;
/** Longer than any answer takes; whoever still sends its body by then is cut off. */
const GRACE_MS = 6_000;
const IDLE_MS = 50;

/** Starts the intake. Comes up also while Temporal is down. Throws MissingSecret, and when the port is taken. */
export async function startIntake(config: Project, options: IntakeOptions = {}): Promise<RunningIntake> {
  const { log = logAsJson } = options;
  const resolve = secretResolver(config);
  const tracing =
    options.client === undefined ? await startTracing(config, (text) => log('warn', text)) : undefined;
  const own = options.client === undefined ? lazyClient(config, tracing?.client) : undefined;
  const client = options.client ?? own!.client;
  const starter = createStarter({
    calls: createTemporalCalls(client),
    taskQueue: config.temporal.taskQueue,
    noticeEveryMs: options.noticeEveryMs,
  });
  const registry = createRegistry();
  const metrics = createAlertMetrics(registry, Object.keys(config.alerts.sources));
  const collector = collectFromTemporal(client, config, registry);
  const receive = createReceive({
    intake: createIntake({ config, starter, log }),
    replays: createReplayStore(),
    metrics,
    log,
    verify: { skewMs: config.alerts.clockSkewSeconds * 1_000, resolve },
    answerWithinMs: options.answerWithinMs,
  });
  const problem = temporalProblem(client);
  const server = await createServer({ config, receive, metrics, registry, problem, log });
  const tellAll = async () => {
    const untold = await starter.flush(Date.now() + FLUSH_MS);
    if (untold > 0) log('warn', 'runs have not heard of repeats yet', { runs: untold });
  };
  const telling = every(starter.noticeEveryMs, () =>
    tellAll().catch((error: Error) => log('error', 'telling runs failed', { why: error.message })),
  );
  const { host, port } = config.alerts;
  const url = await server.listen({ host, port: options.port ?? port }).catch(async (error: Error) => {
    await Promise.all([telling.stop(), server.close(), collector.stop(), tracing?.end()]);
    await own?.close();
    throw new Error(
      `the intake cannot listen on ${host}:${options.port ?? port} (alerts.host, alerts.port): ${error.message}. Free the port, or name another.`,
    );
  });

  async function end(): Promise<void> {
    // Those that become idle only now, or never.
    const idle = setInterval(() => server.server.closeIdleConnections(), IDLE_MS);
    const cutOff = setTimeout(() => server.server.closeAllConnections(), GRACE_MS);
    await server.close();
    clearInterval(idle);
    clearTimeout(cutOff);
    await telling.stop();
    await Promise.all([tellAll(), collector.stop()]);
    await Promise.all([own?.close(), tracing?.end()]);
  }
  let ended: Promise<void> | undefined;
  return { url, stop: () => (ended ??= end()) };
}

/** Does `work` again and again, never twice at the same time. */
function every(ms: number, work: () => Promise<void>): { stop(): Promise<void> } {
  let current: Promise<void> | undefined;
  const timer = setInterval(() => {
    current ??= work().finally(() => (current = undefined));
  }, ms);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await current;
    },
  };
}

const LOOPBACK = /^(127\.|localhost$|::1$|\[::1\]$)/;

/**
 * The process of the intake: runs until it gets a signal, then finishes what it has taken. `listen`, host:port, takes
 * the place of the configuration's.
 */
export async function runAlerts(configFile: string, listen?: string): Promise<void> {
  const stopped = stopSignal();
  const config = loadProject(configFile);
  if (listen !== undefined) {
    const colon = listen.lastIndexOf(':');
    Object.assign(config.alerts, { host: listen.slice(0, colon), port: Number(listen.slice(colon + 1)) });
  }
  const sources = Object.keys(config.alerts.sources);
  const intake = await startIntake(config);
  console.log(`alerts are taken at ${intake.url}/alerts/<source>: ${sources.join(', ')}`);
  if (!LOOPBACK.test(config.alerts.host)) {
    console.error(
      `Warning: ${config.alerts.host} is reachable from other machines, and secrets cross the network as they are: put a proxy with TLS in front.`,
    );
  }
  await stopped;
  await intake.stop();
}

import type { Client } from '@temporalio/client';
import type { State } from '@temporalio/worker';
import fastify from 'fastify';
import type { Project } from '../catalogue/catalogue';
import { Gauge, type Registry } from 'prom-client';
import { scrub } from '../config/secrets';
import { collectFromTemporal } from '../metrics/collect';
import { createRegistry } from '../metrics/registry';
import { readSdkMetrics } from './metrics';

export interface HealthServer {
  url: string;
  /** To be called before the client's connection is closed. */
  stop(): Promise<void>;
}

export interface Watched {
  config: Project;
  client: Client;
  /** Which workflow code it runs. */
  buildId: string;
  /** Undefined until there is a worker. */
  state: () => State | undefined;
}

const TEMPORAL_MS = 2_000;

/**
 * Serves what watches a worker: `/health/live` (the process turns), `/health/ready` (Temporal answers and the worker
 * takes work) and `/metrics`. `listen` is host:port; port 0 takes a free one. Throws when it cannot listen there.
 */
export async function serveHealth(listen: string, watched: Watched): Promise<HealthServer> {
  const { config, client, buildId, state } = watched;
  const { deploymentName } = config.worker;
  const registry = createRegistry();
  describeBuild(registry, deploymentName, buildId);
  const collector = collectFromTemporal(client, config, registry);
  let probe: Promise<string | undefined> | undefined;
  const probed = () =>
    (probe ??= problemOf(client, state).finally(() => {
      probe = undefined;
    }));
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.get('/health/live', () => ({ status: 'ok' }));
  server.get('/health/ready', async (_request, reply) => {
    const problem = await probed();
    return reply.code(problem === undefined ? 200 : 503).send({
      ...(problem === undefined ? { status: 'ready' } : { status: 'unavailable', problem }),
      ...(deploymentName === undefined ? {} : { deploymentName }),
      buildId,
    });
  });
  server.get('/metrics', async (_request, reply) => {
    const [ours, sdk] = await Promise.all([registry.metrics(), readSdkMetrics()]);
    return reply.type(registry.contentType).send(`${ours}${sdk}`);
  });
  const [host, port] = [listen.slice(0, listen.lastIndexOf(':')), listen.slice(listen.lastIndexOf(':') + 1)];
  try {
    const url = await server.listen({ host, port: Number(port) });
    const stop = async () => {
      await server.close();
      await Promise.all([probe, collector.stop()]);
    };
    return { url, stop };
  } catch (error) {
    throw new Error(
      `the worker cannot listen on ${listen} (worker.listen): ${(error as Error).message}. Free the port, or name another.`,
    );
  }
}

function describeBuild(registry: Registry, deployment: string | undefined, buildId: string): void {
  new Gauge({
    name: 'runbooks_worker_build_info',
    help: 'Always 1; the labels say which workflow code this worker runs, and as part of which deployment',
    labelNames: ['deployment', 'build_id'],
    registers: [registry],
  }).set({ deployment: deployment ?? '', build_id: buildId }, 1);
}

async function problemOf(client: Client, state: Watched['state']): Promise<string | undefined> {
  const now = state();
  if (now !== 'RUNNING') return `the worker is ${now ?? 'starting'}`;
  try {
    await client.withDeadline(Date.now() + TEMPORAL_MS, () => client.workflowService.getSystemInfo({}));
    return undefined;
  } catch (error) {
    return scrub(`Temporal does not answer: ${(error as Error).message}`);
  }
}

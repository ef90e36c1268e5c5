import type { Client } from '@temporalio/client';
import type { State } from '@temporalio/worker';
import fastify from 'fastify';
import type { Project } from '../catalogue/catalogue';
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
  /** Undefined until there is a worker. */
  state: () => State | undefined;
}

const TEMPORAL_MS = 2_000;

/**
 * Serves what watches a worker: `/health/live` (the process turns), `/health/ready` (Temporal answers and the worker
 * takes work) and `/metrics`. `listen` is host:port; port 0 takes a free one. Throws when it cannot listen there.
 */
export async function serveHealth(listen: string, { config, client, state }: Watched): Promise<HealthServer> {
  const registry = createRegistry();
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
    return reply
      .code(problem === undefined ? 200 : 503)
      .send(problem === undefined ? { status: 'ready' } : { status: 'unavailable', problem });
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

/** Plays the part of GitHub's REST API that says how the newest run of CI on a branch ended, on the loopback address. */
import fastify from 'fastify';

export interface CiServer {
  url: string;
  stop: () => Promise<void>;
}

export async function startCi({
  conclusion,
}: {
  conclusion: () => 'success' | 'failure';
}): Promise<CiServer> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.get('/repos/:owner/:name/actions/runs', () => ({
    total_count: 1,
    workflow_runs: [
      { id: 1, name: 'CI', head_branch: 'main', status: 'completed', conclusion: conclusion() },
    ],
  }));
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url, stop: () => server.close() };
}

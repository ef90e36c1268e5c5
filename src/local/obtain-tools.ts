import type { Progress } from '../host/cache';
import { obtainPostgresBin } from '../host/postgres';
import { obtainS3Server } from './s3-server';
import { obtainTemporalCli } from './temporal-cli';
import { obtainTestServer } from './test-server';

export interface ObtainedTools {
  temporalCli: string;
  testServer: string;
  postgresBin: string;
  s3Server: string;
}

/**
 * Obtains everything the tests run against, each cached, and tells where it came from. One after the other: what was
 * missing is what takes long, and its progress should be readable.
 */
export async function obtainTools(progress: Progress): Promise<ObtainedTools> {
  const cli = await obtainTemporalCli({ progress });
  progress(`Temporal CLI: ${cli.path} (${cli.source}; ${cli.version})`);
  const testServer = await obtainTestServer({ progress });
  progress(`Time-skipping test server: ${testServer.path} (${testServer.source})`);
  const postgres = await obtainPostgresBin(undefined, progress);
  progress(`PostgreSQL ${postgres.version}: ${postgres.directory} (${postgres.source})`);
  const s3 = await obtainS3Server(progress);
  progress(`S3 server: ${s3.path} (${s3.source})`);
  return {
    s3Server: s3.path,
    temporalCli: cli.path,
    testServer: testServer.path,
    postgresBin: postgres.directory,
  };
}

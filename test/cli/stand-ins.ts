/** A server of its own with stand-ins for runbooks, and the command that talks to it. */
import { join } from 'node:path';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import type { RunStatus } from '../../src/contract/report';
import { standIn } from '../support/stand-in';
import { runCli, startStandIns, temporaryFolder, type CliResult } from './harness';

/** They are there from the first test of a file to its last. */
export function useStandIns() {
  const folder = temporaryFolder();
  let temporal: LocalTemporal | undefined;
  let standIns: Awaited<ReturnType<typeof startStandIns>> | undefined;
  let names = 0;
  beforeAll(async () => {
    temporal = await startTemporal({ directory: join(folder.path, 'temporal') });
    standIns = await startStandIns(temporal.address);
  });
  afterAll(async () => {
    await standIns?.stop();
    await temporal?.stop();
    folder.remove();
  });

  const cli = (...args: string[]): Promise<CliResult> =>
    runCli(args, { cwd: folder.path, env: { TEMPORAL_ADDRESS: temporal!.address } });

  /** Starts a stand-in that does what `reason` says, as the command does, in a tenth of its time; returns its ID. */
  const start = async (reason: string): Promise<string> => {
    const workflowId = `test-${(names += 1)}`;
    await standIns!.client.workflow.start('migrateDatabase', {
      workflowId,
      taskQueue: 'runbooks',
      args: [{ service: 'booking', reason, startedBy: 'dana' }],
      staticSummary: 'Migrate a database: booking',
    });
    return workflowId;
  };

  /** What the command says of a run once it waits. */
  const waitingIn = async (id: string): Promise<string> => {
    const handle = standIns!.client.workflow.getHandle(id);
    for (let round = 0; round < 2_400; round += 1) {
      const { waiting } = await handle.query<RunStatus>('status');
      if (waiting.length > 0) {
        const { stdout } = await cli('status', id);
        expect(stdout).toContain('Waits for a person');
        return stdout;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${id} never waited`);
  };

  const withoutWorker = async (body: () => Promise<void>): Promise<void> => {
    await standIns!.stop();
    standIns = undefined;
    await body();
    standIns = await startStandIns(temporal!.address);
  };

  return {
    ...{ cli, start, waitingIn, withoutWorker, folder },
    temporal: standIn(() => temporal!),
    client: standIn(() => standIns!.client),
  };
}

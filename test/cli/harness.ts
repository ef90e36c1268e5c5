import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createGuardActivities } from '../../src/activities/guard/guard-activities';
import type { ActivityDeps } from '../../src/activities/support/deps';
import { askFor } from '../support/shared/ask';
import { runInProcess, type Written } from './in-process';

const ROOT = resolve(__dirname, '../..');

// A configuration or a server of the developer's own must not get into the tests.
const {
  RUNBOOKS_CONFIG: _config,
  TEMPORAL_ADDRESS: _address,
  NODE_OPTIONS: _options,
  ...outside
} = process.env;

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

interface Options {
  env?: Record<string, string>;
  cwd?: string;
}

/** Runs the command in this process, which takes a tenth of the time of one of its own. `written` grows meanwhile. */
export function runCli(
  args: string[],
  { env = {}, cwd = ROOT, written = { stdout: '', stderr: '' } }: Options & { written?: Written } = {},
): Promise<CliResult> {
  return runInProcess(args, { env: { ...outside, ...env }, cwd, written });
}

/** Runs the command in a process of its own, from its sources. */
export function spawnCli(
  args: string[],
  { env = {}, cwd = ROOT, input = '' }: Options & { input?: string } = {},
): Promise<CliResult> {
  return new Promise((done, fail) => {
    const child = spawn(
      process.execPath,
      ['-r', join(__dirname, 'register.cjs'), join(ROOT, 'src/cli/main.ts'), ...args],
      {
        cwd,
        env: { ...outside, ...env },
      },
    );
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.on('error', fail);
    child.on('close', (code) => done({ code: code ?? -1, stdout, stderr }));
    child.stdin.end(input);
  });
}

/** A folder of its own, removed with `remove`. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'runbooks-cli-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

let attempts = 0;
let quiet = false;

/** A worker with the stand-in runbooks of workflows.ts. */
export async function startStandIns(address: string): Promise<{ client: Client; stop(): Promise<void> }> {
  // Runs that fail are what these tests are about.
  if (!quiet) Runtime.install({ logger: new DefaultLogger('ERROR') });
  quiet = true;
  const native = await NativeConnection.connect({ address });
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const worker = await Worker.create({
    connection: native,
    taskQueue: 'runbooks',
    workflowBundle: { codePath: await askFor('bundle', require.resolve('./workflows')) },
    activities: {
      async flaky(): Promise<string> {
        attempts += 1;
        if (attempts % 2 === 1)
          throw new Error('connection to postgresql://app:hunter2hunter2@db/booking was lost');
        return 'saved';
      },
      findEnded: createGuardActivities({ config: { temporal: {} }, client } as unknown as ActivityDeps)
        .findEnded,
      async wakePaused(): Promise<void> {},
      async post(): Promise<never[]> {
        return [];
      },
    },
  });
  const running = worker.run();
  return {
    client,
    stop: async () => {
      worker.shutdown();
      await running;
      await connection.close();
      await native.close();
    },
  };
}

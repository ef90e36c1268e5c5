import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { parseProject } from '../../check/load-project';
import type { RunReport, RunStatus, Waiting } from '../../contract/report';
import { startTemporal } from '../../local/temporal';
import { createTimeSkippingEnvironment } from '../../local/time-skipping';
import type { LoadedProject } from '../../packs/definition/combine';
import type { ActivityFunctions, Pack } from '../../packs/definition/pack';
import { logBriefly } from '../../worker/log';
import { startWorker } from '../../worker/worker';
import { replay } from './replay';

export interface TestOptions {
  packs: readonly Pack[];
  /** What a `runbooks.yaml` would say. */
  config: Record<string, unknown>;
  /** In place of the packs' own activities of these names, so that a test operates nothing real. */
  activities?: ActivityFunctions;
  /** Days pass in milliseconds. Default: a development server, whose clock is the real one. */
  timeSkipping?: boolean;
  /** Relative paths of the configuration start here. Default: the current folder. */
  directory?: string;
}

/** A Temporal server with a worker for the packs. One for each test file; `stop` it at the end. */
export interface TestEnvironment {
  client: Client;
  config: LoadedProject;
  start(runbook: string, input: Record<string, unknown>): Promise<WorkflowHandle>;
  /** Waits for the end of a run; its report, whatever the outcome. */
  end(handle: WorkflowHandle): Promise<RunReport>;
  /** `start` and `end`. */
  run(runbook: string, input: Record<string, unknown>): Promise<RunReport>;
  /** Waits until a run waits for a person. Throws when it has ended instead. */
  waiting(handle: WorkflowHandle, kind?: Waiting['kind']): Promise<Waiting>;
  /** Answers for a person, e.g. `answer(handle, 'approve', { plan: hash, by: 'sam' })`. */
  answer(handle: WorkflowHandle, name: string, words: Record<string, string>): Promise<string>;
  /** Replays the run with the code that the environment was started with. */
  replay(handle: WorkflowHandle): Promise<void>;
  stop(): Promise<void>;
}

const TASK_QUEUE = 'runbooks-test';

/** Starts server and worker. Throws ConfigError, PackError, and when a server cannot be found or obtained. */
export async function startTestEnvironment(options: TestOptions): Promise<TestEnvironment> {
  const directory = resolve(options.directory ?? '.');
  speakBriefly();
  const server = await startServer(options.timeSkipping === true);
  try {
    const temporal = { address: server.address, taskQueue: TASK_QUEUE, namespace: 'default' };
    const config = parseProject(
      {
        file: join(directory, 'runbooks.yaml'),
        directory,
        document: { ...options.config, temporal },
        lineOf: () => undefined,
      },
      options.packs,
    );
    const running = await startWorker(config, { activities: options.activities });
    const stop = async () => {
      await running.stop();
      await server.stop();
    };
    return { ...driverOf(server.environment.client, config), stop };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Runs that fail are what many tests are about. */
function speakBriefly(): void {
  try {
    logBriefly('ERROR');
  } catch {
    // Another environment of this process has said so already.
  }
}

async function startServer(timeSkipping: boolean) {
  if (timeSkipping) {
    const environment = await createTimeSkippingEnvironment();
    return { environment, address: environment.address, stop: () => environment.teardown() };
  }
  const directory = mkdtempSync(join(tmpdir(), 'runbooks-test-'));
  const temporal = await startTemporal({ directory, ephemeral: true });
  const environment = await TestWorkflowEnvironment.createFromExistingServer({ address: temporal.address });
  const stop = async () => {
    await environment.teardown();
    await temporal.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { environment, address: temporal.address, stop };
}

const LOOK_EVERY_MS = 50;

function driverOf(client: Client, config: LoadedProject): Omit<TestEnvironment, 'stop'> {
  let count = 0;
  const start: TestEnvironment['start'] = (runbook, input) =>
    client.workflow.start(runbook, {
      taskQueue: TASK_QUEUE,
      workflowId: `${runbook}/test-${(count += 1)}`,
      args: [{ startedBy: 'test', ...input }],
      // A time-skipping server would otherwise move its clock to the end of a run's default, ten years on.
      workflowRunTimeout: '30 days',
    });
  const end: TestEnvironment['end'] = async (handle) => {
    try {
      return (await handle.result()) as RunReport;
    } catch (error) {
      const { cause } = error as { cause?: unknown };
      const report = cause instanceof ApplicationFailure ? cause.details?.[0] : undefined;
      if (report === undefined) throw error;
      return report as RunReport;
    }
  };
  const waiting: TestEnvironment['waiting'] = async (handle, kind = 'approval') => {
    for (;;) {
      const status = await handle.query<RunStatus>('status');
      const found = status.waiting.find((one) => one.kind === kind);
      if (found !== undefined) return found;
      if (status.outcome !== undefined)
        throw new Error(`${handle.workflowId} waits for nobody: ${status.outcome}, ${status.summary}`);
      await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
    }
  };
  return {
    client,
    config,
    start,
    end,
    run: async (runbook, input) => end(await start(runbook, input)),
    waiting,
    answer: (handle, name, words) => handle.executeUpdate(name, { args: [words] }),
    replay: (handle) => replay(handle, config),
  };
}

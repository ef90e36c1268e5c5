import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Client as PgClient } from 'pg';
import { parseDocument } from 'yaml';
import type { RunReport, RunStatus, Waiting } from '../../src/contract/report';
import type { Stack } from '../../src/local/stack';
import { quietTemporal } from '../support/quiet';
import { startTestStack } from '../support/shared/stack';
import { standIn } from '../support/stand-in';

export interface Ended {
  handle: WorkflowHandle;
  outcome: string;
  message: string;
  report: RunReport;
}

const PATIENCE_MS = 280_000;

/** Drives real runs on the embedded stack. */
export interface Driver {
  stack: Stack;
  start(runbook: string, input?: Record<string, unknown>): Promise<WorkflowHandle>;
  run(runbook: string, input?: Record<string, unknown>): Promise<Ended>;
  end(handle: WorkflowHandle): Promise<Ended>;
  cancel(handle: WorkflowHandle): Promise<Ended>;
  /** The run of another runbook that this one waits for. */
  childOf(handle: WorkflowHandle, runbook: string): Promise<WorkflowHandle>;
  until(handle: WorkflowHandle, holds: (status: RunStatus) => boolean): Promise<RunStatus>;
  waiting(handle: WorkflowHandle, kind: Waiting['kind']): Promise<Waiting>;
  /** Says yes to everything that is asked, also anew where the application has gone on writing, until the run has ended. */
  agree(handle: WorkflowHandle): Promise<Ended>;
  answer(handle: WorkflowHandle, name: string, words: Record<string, string>): Promise<string>;
  /** One statement as superuser; rows as objects. */
  sql<T = Record<string, unknown>>(
    statement: string,
    environment?: 'production' | 'staging' | 'postgres',
  ): Promise<T[]>;
  /** Names of the complete backups. */
  backups(environment?: string): string[];
}

/** All that the history of a run has, with every payload decoded. */
export const historyOf = async (handle: WorkflowHandle): Promise<string> =>
  JSON.stringify(await handle.fetchHistory()).replaceAll(/"data":"([\w+/=]*)"/g, (_, data: string) =>
    Buffer.from(data, 'base64').toString(),
  );

/** Starts a stack with a small booking database. The caller stops it. */
export async function startDriver(
  bookings = 400,
  worker = true,
  dynamicConfig: Record<string, string> = {},
  postgres: Record<string, string> = {},
): Promise<Driver> {
  const stack = await startTestStack({ bookings, worker, dynamicConfig, postgres });
  let count = 0;

  const start: Driver['start'] = (runbook, input = {}) =>
    stack.client.workflow.start(runbook, {
      taskQueue: stack.config.temporal.taskQueue,
      workflowId: `${runbook}/booking/test-${(count += 1)}`,
      args: [{ service: 'booking', startedBy: 'ana', ...input }],
    });

  const end: Driver['end'] = async (handle) => {
    try {
      const report = (await handle.result()) as RunReport;
      return { handle, outcome: report.outcome ?? '', message: report.summary, report };
    } catch (error) {
      const { memo } = await handle.describe();
      const report = memo?.['report'] as RunReport;
      const { cause } = error as { cause?: Error };
      const outcome =
        cause instanceof ApplicationFailure ? (cause.type ?? '') : (report?.outcome ?? 'unknown');
      return { handle, outcome, message: cause?.message ?? String(error), report };
    }
  };

  const poll = async (handle: WorkflowHandle, holds: (status: RunStatus) => boolean, everyMs: number) => {
    let last: RunStatus | undefined;
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline;) {
      last = await handle.query<RunStatus>('status').catch(() => last);
      if (last !== undefined && holds(last)) return last;
      if (last?.outcome !== undefined) break;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    throw new Error(
      `the run never got there; it says ${last?.outcome}: ${last?.summary}\n${JSON.stringify(last?.timeline, null, 1)}`,
    );
  };

  const agree: Driver['agree'] = async (handle) => {
    for (const seen = new Set<string>(); ;) {
      const { outcome, waiting } = await poll(
        handle,
        (status) => status.outcome !== undefined || status.waiting.some(({ id }) => !seen.has(id)),
        150,
      );
      if (outcome !== undefined) return end(handle);
      const { id, update, choices = [] } = waiting.find((one) => !seen.has(one.id))!;
      seen.add(id);
      const words = {
        ...update.argument,
        by: 'ben',
        ...(choices[0] === undefined ? {} : { choice: choices[0] }),
      };
      await handle.executeUpdate(update.name, { args: [words] });
    }
  };

  return {
    stack,
    agree,
    start,
    end,
    // What it waits for may last a moment only.
    until: (handle, holds) => poll(handle, holds, 30),
    cancel: async (handle) => {
      await handle.cancel();
      return end(handle);
    },
    childOf: async (handle, runbook) => {
      const isChild = ({ detail, status }: RunStatus['timeline'][number]) =>
        status === 'running' && detail?.includes(`/${runbook}-`) === true;
      const { timeline } = await poll(handle, (status) => status.timeline.some(isChild), 30);
      return stack.client.workflow.getHandle(timeline.find(isChild)!.detail!);
    },
    run: async (runbook, input) => end(await start(runbook, input)),
    waiting: async (handle, kind) => {
      // It waits until it is answered. Each query is a task for the server, the worker and its thread.
      const status = await poll(handle, ({ waiting }) => waiting.some((one) => one.kind === kind), 150);
      return status.waiting.find((one) => one.kind === kind) as Waiting;
    },
    answer: (handle, name, words) =>
      handle.executeUpdate<string, [Record<string, string>]>(name, { args: [words] }),
    sql: async <T>(statement: string, environment: string = 'production') => {
      const database = environment === 'postgres' ? 'postgres' : `booking_${environment}`;
      const client = new PgClient({
        connectionString: stack.postgres.url.replace(/\/postgres$/, `/${database}`),
      });
      await client.connect();
      try {
        return (await client.query(statement)).rows as T[];
      } finally {
        await client.end();
      }
    },
    backups: (environment = 'production') => {
      try {
        return readdirSync(join(stack.directory, 'backups', 'booking', environment)).filter(
          (name) => !name.endsWith('.partial'),
        );
      } catch {
        return [];
      }
    },
  };
}

/** A driver from the first test of a file to its last. */
export function useDriver(): Driver {
  quietTemporal();
  let driver: Driver | undefined;
  beforeAll(async () => {
    driver = await startDriver();
  });
  afterAll(() => driver?.stack.stop());
  return standIn(() => driver!);
}

/** What stands behind a title of the timeline, each time. */
export const details = ({ timeline }: Pick<RunReport, 'timeline'>, title: string) =>
  timeline.filter((line) => line.title === title).map(({ detail }) => detail);

/** What a run has done, in order. */
export const titles = ({ timeline }: Pick<RunReport, 'timeline'>) => timeline.map(({ title }) => title);

/** Writes settings of the service into the file, which worker processes read; by their paths, undefined takes one out. */
export function configure({ stack }: Driver, settings: Record<string, unknown>): void {
  const document = parseDocument(readFileSync(stack.configFile, 'utf8'));
  for (const [path, value] of Object.entries(settings)) {
    const keys = ['services', 'booking', ...path.split('.')];
    if (value === undefined) document.deleteIn(keys);
    else document.setIn(keys, value);
  }
  writeFileSync(stack.configFile, document.toString());
}

import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { Repaired } from '../../../../src/activities/postgres/repair/batches';
import { createGuardActivities } from '../../../../src/activities/guard/guard-activities';
import type { LoadedConfig } from '../../../../src/config/load';
import type { Comparison, Violation } from '../../../../src/contract/corruption';
import type { DatabaseRef } from '../../../../src/contract/place';
import type { RunReport, RunStatus, Waiting } from '../../../../src/contract/report';
import { askFor } from '../../../support/shared/ask';
import { POLICY } from '../../kit/harness';

/** A database with damage, and what was done to it. */
export interface CorruptionWorld {
  /** Of the live database, or of the copy of the newest backup that was restored last. */
  violations: (where: 'live' | 'copy', backupId: string) => Violation[];
  invariants: () => { name: string; ok: boolean; violations: number; sample: string }[];
  backups: Record<string, unknown>[];
  compare: () => Comparison;
  quiet: () => boolean;
  bring: () => Repaired;
  undo: () => Repaired;
  health: () => { name: string; ok: boolean; detail: string }[];
  log: string[];
}

/** A token beyond those that a guard gives by itself, which are times. */
const SEEN = 4_000_000_000_000;

export const ORDERS = '"public"."orders"';
export const row = (key: string, seen: string | null = null) => ({ table: ORDERS, key, seen });
export const comparison = (more: Partial<Comparison> = {}): Comparison => ({
  rows: [row('1'), row('2', 'image')],
  tables: [{ table: ORDERS, missing: 1, wrong: 1, newer: 0 }],
  ...{ left: [], tooMany: false, maxRows: 10, fenceToken: SEEN, warnings: [] },
  ...more,
});
export const broken = (rows: number, table = ORDERS): Violation => ({ name: 'of_buyer', table, rows });
export const backup = (backupId: string, day: number, more: Record<string, unknown> = {}) => ({
  ...{ backupId, snapshotAt: `2026-01-0${day}T00:00:00.000Z`, provenAt: null, rows: 100, complete: true },
  ...{ purpose: 'scheduled', where: ['disk'], service: 'booking', environment: 'production', ...more },
});

const fresh = (): CorruptionWorld => {
  const own: CorruptionWorld = {
    // Until the rows are back.
    violations: (where) => (where === 'live' && !own.log.includes('bring') ? [broken(2)] : []),
    invariants: () => [],
    backups: [backup('b2', 2), backup('b1', 1)],
    compare: () => comparison(),
    quiet: () => true,
    bring: () => ({ done: 2, left: [] }),
    undo: () => ({ done: 2, left: [] }),
    health: () => [],
    log: [],
  };
  return own;
};

export interface CorruptionKit {
  world: CorruptionWorld;
  start(input?: Record<string, unknown>): Promise<WorkflowHandle>;
  finish(handle: WorkflowHandle): Promise<RunReport>;
  run(input?: Record<string, unknown>): Promise<RunReport>;
  waiting(handle: WorkflowHandle, kind: Waiting['kind']): Promise<Waiting>;
}

let world = fresh();
let restored = '';
const taskQueue = `corruption-${process.pid}`;
let shared: { worker: Worker; stopped: Promise<void> } | undefined;
let names = 0;

export async function withCorruption(
  env: TestWorkflowEnvironment,
  body: (kit: CorruptionKit) => Promise<void>,
): Promise<void> {
  shared ??= await startWorker(env);
  world = fresh();
  await body(createKit(env));
}

export async function stopCorruption(): Promise<void> {
  shared?.worker.shutdown();
  await shared?.stopped;
  shared = undefined;
}

async function startWorker(env: TestWorkflowEnvironment) {
  const config = { temporal: { taskQueue } } as unknown as LoadedConfig;
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue,
    workflowBundle: { codePath: await askFor('bundle', require.resolve('./fixtures')) },
    activities: { ...fakeActivities(), ...createGuardActivities({ config, client: env.client }) },
  });
  return { worker, stopped: worker.run() };
}

function fakeActivities() {
  const noted =
    <T>(what: string, answer: () => T) =>
    async () => {
      world.log.push(what);
      return answer();
    };
  return {
    prepare: async ({ input }: { input: Record<string, unknown> }) => ({
      title: 'Recover from data corruption',
      input: { environment: 'production', recoveryPoint: 'latest', backups: 3, startedBy: 'ana', ...input },
      policy: { ...POLICY, mode: 'auto', takesPlace: false },
    }),
    announce: async () => ({ told: ['chat'], problems: [] }),
    findViolations: async ({ database }: { database: DatabaseRef }) => ({
      violations: world.violations(database.kind === 'service' ? 'live' : 'copy', restored),
      amcheck: true,
    }),
    checkInvariants: async () => world.invariants(),
    listHosts: async () => [],
    listBackups: async () => world.backups,
    holdBackup: async () => undefined,
    openScratch: async () => ({ directory: '/scratch' }),
    restoreBackup: async ({ backupId }: { backupId: string }) => {
      world.log.push(`restore ${backupId}`);
      restored = backupId;
      return { sizeBytes: 1, durationMs: 1 };
    },
    validateRestore: async () => ({ checks: [{ name: 'rows', ok: true, detail: 'same' }] }),
    markBackupProven: async () => ({ detail: 'proven' }),
    dropScratch: noted('drop', () => undefined),
    compareWithCopy: async () => world.compare(),
    listChecks: async () => ({ health: 1, errorRate: true, smoke: true }),
    inspectLive: async () => ({ condition: 'there', readOnlySetting: null }),
    runServiceCommand: async ({ command }: { command: string }) => {
      world.log.push(command);
      return { ran: true, detail: 'done' };
    },
    openToWriters: async () => ({ ended: 0, takesWrites: true }),
    watchWrites: async () => ({ quiet: world.quiet(), quietMs: 1_000, changes: 3, writers: ['importer'] }),
    bringBackRows: async ({ fence }: { fence: { token: number } }) => {
      world.log.push('bring');
      if (fence.token <= SEEN) throw ApplicationFailure.nonRetryable('older', 'StaleFencingToken');
      return world.bring();
    },
    undoBringBack: noted('undo', () => world.undo()),
    checkHealth: async () => world.health(),
  };
}

function createKit(env: TestWorkflowEnvironment): CorruptionKit {
  const start: CorruptionKit['start'] = (input = {}) =>
    env.client.workflow.start('recoverFromCorruption', {
      ...{ taskQueue, workflowId: `recoverFromCorruption/booking/${(names += 1)}` },
      args: [{ service: 'booking', ...input }],
      // The time-skipping server would otherwise move its clock by ten years.
      workflowRunTimeout: '2 days',
    });
  const finish: CorruptionKit['finish'] = async (handle) => {
    try {
      return (await handle.result()) as RunReport;
    } catch (error) {
      const { cause } = error as { cause?: Error };
      if (cause instanceof ApplicationFailure) return cause.details?.[0] as RunReport;
      throw error;
    }
  };
  return {
    world,
    start,
    finish,
    run: async (input) => finish(await start(input)),
    waiting: async (handle, kind) => {
      for (let tries = 0; tries < 2_400; tries += 1) {
        const { waiting, outcome, summary } = await handle.query<RunStatus>('status');
        const open = waiting.find((one) => one.kind === kind);
        if (open !== undefined) return open;
        if (outcome !== undefined) throw new Error(`it asked nobody: ${outcome} ${summary}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error('it asked nobody');
    },
  };
}

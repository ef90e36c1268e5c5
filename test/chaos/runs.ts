import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, type WorkflowHandle } from '@temporalio/client';
import { deployVersion } from '../../examples/booking/deployments';
import { setSwitches } from '../../examples/booking/switches';
import { openIdleTransactions } from '../../examples/booking/trouble';
import type { RunReport } from '../../src/contract/report';
import type { RunKind, RunPlan } from './draw';
import type { EndedRun, Repair } from './facts';
import type { Struck } from './faults';
import { attend } from './people';
import { TROUBLES } from './repairs';
import type { World } from './world';

const RUNBOOKS: Record<RunKind, string> = {
  migrate: 'migrateDatabase',
  'back up': 'backUpDatabase',
  restore: 'restoreDatabase',
  drill: 'drillRestore',
  'relieve connections': 'relieveConnectionPool',
  'roll back deployment': 'rollBackDeployment',
  'resolve errors': 'resolveHighErrorRate',
  'resolve double bookings': 'resolveDoubleBookings',
  'release stuck holds': 'releaseStuckHolds',
  'recover cron': 'recoverCron',
  'replay webhooks': 'replayWebhookDeliveries',
  'audit provider gate': 'auditProviderGate',
  'reconcile payment': 'reconcilePayment',
};

/** Of the role's 40: over the limit of what the sample calls short. */
const FORGOTTEN = 30;
const TROUBLE_MS = 60_000;

/** A run with everything that it is there for. */
export interface Prepared {
  plan: RunPlan;
  input: Record<string, unknown>;
  migration: string | undefined;
  /** Process IDs of forgotten transactions. */
  trouble: number[];
  /** What became of the rows that it was to mend. */
  repairs(struck: Struck[]): Promise<Repair[]>;
  stop(): Promise<unknown>;
}

/** Makes what the run is to mend, and what it is to apply. */
export async function prepareRun(world: World, plan: RunPlan, number: number): Promise<Prepared> {
  const { driver, app } = world;
  const { mode } = plan;
  const prepared: Prepared = {
    plan,
    input: { mode },
    migration: undefined,
    trouble: [],
    repairs: async () => [],
    stop: async () => undefined,
  };
  switch (plan.kind) {
    case 'migrate':
      prepared.migration = writeMigration(driver.stack.directory, plan, number);
      prepared.input = {
        mode,
        files: [prepared.migration],
        staging: plan.migration.staging,
        // Other runs, and restores, come in between.
        accept: ['schema-drift'],
      };
      break;
    case 'relieve connections': {
      const databaseUrl = driver.stack.booking.urls.production.app;
      const { pids, stop } = await openIdleTransactions({ databaseUrl, count: FORGOTTEN, forMs: TROUBLE_MS });
      prepared.trouble = pids;
      prepared.stop = stop;
      break;
    }
    case 'roll back deployment':
      deployVersion(app.directory, '1.5.0');
      await app.untilRate((rate) => rate > 0.5);
      break;
    case 'resolve errors':
      setSwitches(app.directory, { recommendations: true });
      await app.untilRate((rate) => rate > 0.5);
      break;
    case 'back up':
    case 'restore':
    case 'drill':
      break;
    default: {
      const { input, look, mend } = await TROUBLES[plan.kind](world, plan);
      const workflowId = idOf(plan, number);
      prepared.input = { mode, ...input };
      prepared.repairs = async (struck) => (await look(struck)).map((one) => ({ ...one, workflowId }));
      prepared.stop = mend;
    }
  }
  return prepared;
}

const idOf = ({ kind }: RunPlan, number: number): string => `${RUNBOOKS[kind]}/booking/chaos-${number}`;

/** Its name says what it is: see `objectOf` and the invariant. */
function writeMigration(directory: string, { migration }: RunPlan, number: number): string {
  const digits = String(number).padStart(6, '0');
  const { shape, unwell } = migration;
  const base = `2027_01_01_${digits}_${shape}${unwell ? '_unwell' : ''}`;
  const name = `${base}.sql`;
  const object = `chaos_${shape}_${digits}`;
  const effect = `INSERT INTO chaos_effects (migration) VALUES ('${name}');`;
  const back = `DELETE FROM chaos_effects WHERE migration = '${name}';`;
  const [up, down] = {
    rows: [`SELECT pg_sleep(0.3);\n${effect}`, back],
    column: [
      `SELECT pg_sleep(0.3);\nALTER TABLE customers ADD COLUMN ${object} text;\n${effect}`,
      `ALTER TABLE customers DROP COLUMN ${object};\n${back}`,
    ],
    index: [
      `${effect}\nCREATE INDEX CONCURRENTLY ${object} ON customers (created_at);`,
      `DROP INDEX CONCURRENTLY ${object};\n${back}`,
    ],
  }[shape] as [string, string];
  const file = join(directory, 'migrations', base);
  writeFileSync(`${file}.sql`, `${up}\n`);
  writeFileSync(`${file}.down.sql`, `${down}\n`);
  return name;
}

/** Starts it, however long that takes, and is there for it until it has ended. */
export async function follow(
  world: World,
  { plan, input, migration }: Prepared,
  { number, front, untilMs }: { number: number; front: string; untilMs: () => number },
): Promise<Omit<EndedRun, 'status' | 'report'>> {
  const runbook = RUNBOOKS[plan.kind];
  const workflowId = idOf(plan, number);
  await sleep(plan.afterMs);
  const handle = await begin(world, runbook, workflowId, input);
  const inTime = await attend(world, handle, plan, untilMs);
  return { plan, workflowId, inTime, migration, front };
}

async function begin(
  { driver: { stack } }: World,
  runbook: string,
  workflowId: string,
  input: Record<string, unknown>,
): Promise<WorkflowHandle> {
  const { client, config } = stack;
  for (;;) {
    try {
      await client.withDeadline(Date.now() + 5_000, () =>
        client.workflow.start(runbook, {
          taskQueue: config.temporal.taskQueue,
          workflowId,
          args: [{ service: 'booking', startedBy: 'ana', ...input }],
        }),
      );
    } catch (error) {
      // It may have been started before the answer was lost.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        await sleep(300);
        continue;
      }
    }
    return client.workflow.getHandle(workflowId);
  }
}

/** What Temporal and the run itself say of its end. */
export async function readEnd(
  { driver }: World,
  run: Omit<EndedRun, 'status' | 'report'>,
): Promise<EndedRun> {
  const handle = driver.stack.client.workflow.getHandle(run.workflowId);
  const { status, memo } = await handle.describe();
  const report =
    status.name === 'COMPLETED'
      ? ((await handle.result()) as RunReport)
      : (memo?.['report'] as RunReport | undefined);
  return { ...run, status: status.name, report };
}

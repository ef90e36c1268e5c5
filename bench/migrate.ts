import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { MIGRATION, runBaseline } from './baseline';
import type { Bench } from './environment';
import { alternate, median, percentile, ratios, round, say, spread, type Results } from './measure';
import type { Call } from './recorder';
import { measureRun, slowest, type MeasuredRun } from './runs';
import { describePhases, type ShellRun } from './shell';

/** Parts of the script that a less careful one leaves out. */
const CHECKS = ['counts', 'checksums', 'verify', 'validate', 'contents'];

/** migrateDatabase without a soak against a script with the same tools; what the engine costs on the way. */
export async function measureMigrate(bench: Bench, rounds: number): Promise<Results> {
  const ours: MeasuredRun[] = [];
  const shell: ShellRun[] = [];
  await alternate(
    rounds,
    [
      async () => {
        const run = await measureRun(bench, 'migrateDatabase', { files: [MIGRATION], mode: 'auto' });
        ours.push(run);
        say(`migrateDatabase ${run.seconds.toFixed(2)} s: ${slowest(run.report, 12)}`);
        await takeBack(bench);
      },
      async () => {
        const run = await runBaseline(bench, 'migrate');
        shell.push(run);
        say(`script ${run.seconds.toFixed(2)} s: ${describePhases(run.phases)}`);
        await takeBack(bench);
      },
    ],
    bench.settle,
  );
  return {
    ...overheadOf(ours, shell),
    ...stepsOf(bench, ours),
    ...(await historyOf(bench, ours.at(-1)!)),
  };
}

/** Both databases as they were, so that every round has the same to do. Fails where nothing was applied. */
export async function takeBack({ sql, directory }: Bench): Promise<void> {
  for (const database of ['booking_production', 'booking_staging']) {
    await sql(database, 'ALTER TABLE bookings DROP COLUMN notes');
    const [ledger] = await sql<{ there: boolean }>(
      database,
      `SELECT to_regclass('durable_runbooks.ledger') IS NOT NULL AS there`,
    );
    if (ledger?.there === true) await sql(database, 'DELETE FROM durable_runbooks.ledger');
  }
  for (const folder of ['baseline', 'backups/booking/production', 'backups/booking/staging'])
    rmSync(join(directory, folder), { recursive: true, force: true });
}

function overheadOf(ours: MeasuredRun[], shell: ShellRun[]): Results {
  const seconds = { ours: ours.map((run) => run.seconds), shell: shell.map((run) => run.seconds) };
  // The same script with nothing but the dump, the restore and psql of the migration.
  const bare = shell.map(({ phases }) =>
    Object.entries(phases)
      .filter(([name]) => !CHECKS.includes(name))
      .reduce((sum, [, took]) => sum + took, 0),
  );
  const overheads = ratios(seconds.ours, seconds.shell);
  const overBare = ratios(seconds.ours, bare);
  return {
    'migrate.overhead': {
      value: round(median(overheads)),
      unit: 'times the time',
      baseline: 1,
      note: `goal <= 1.07, with rows and values compared before and after up and after down, by both. migrateDatabase, mode auto, no soak: ${spread(seconds.ours, 's')}, slowest steps: ${slowest(ours.at(-1)!.report, 6)}; against a script that dumps, counts, checks, restores, counts again, rehearses up and down and hashes every row in between, applies to staging and production with psql: ${spread(seconds.shell, 's')}, parts of the last: ${describePhases(shell.at(-1)!.phases)}; ratios ${spread(overheads, '')}`,
    },
    'migrate.overheadUnchecked': {
      value: round(median(overBare)),
      unit: 'times the time',
      baseline: 1,
      note: `no goal: the same runs against the script without its checksums, row counts, validation and comparison of contents: ${spread(bare, 's')}; ratios ${spread(overBare, '')}`,
    },
  };
}

/** From the end of one activity to the start of the next: everything that is not the work itself. */
function stepsOf({ calls }: Bench, ours: MeasuredRun[]): Results {
  const gaps = ours.flatMap(({ workflowId }) => gapsOf(calls.of(workflowId)));
  return {
    'step.latencyMs': {
      value: round(median(gaps), 1),
      unit: 'ms',
      note: `goal <= 25. From the end of one activity to the start of the next in migrateDatabase on the embedded stack, ${gaps.length} steps of ${ours.length} runs: 90 % within ${round(percentile(gaps, 0.9), 1)} ms, ${round(Math.min(...gaps), 1)} to ${round(Math.max(...gaps), 1)} ms. Not counted: waiting for a lease, activities that run side by side`,
    },
  };
}

function gapsOf(calls: Call[]): number[] {
  return calls.slice(1).flatMap((call, index) => {
    const before = calls[index]!;
    // After a request for a lease comes the guard's answer, which is not part of a step.
    const alone = before.activity !== 'askGuard' && call.startedMs >= before.endedMs;
    return alone ? [call.startedMs - before.endedMs] : [];
  });
}

async function historyOf({ client }: Bench, { workflowId }: MeasuredRun): Promise<Results> {
  const handle = client.workflow.getHandle(workflowId);
  const { historyLength, historySize } = await handle.describe();
  const json = Buffer.byteLength(historyToJSON(await handle.fetchHistory()));
  return {
    'migrate.historyEvents': {
      value: historyLength,
      unit: 'events',
      note: 'one migrateDatabase with one file, staging included, mode auto, nothing failed',
    },
    'migrate.historyBytes': {
      value: historySize ?? json,
      unit: 'bytes',
      note: `as the server counts them; ${json} bytes as JSON`,
    },
  };
}

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runBaseline } from './baseline';
import type { Bench } from './environment';
import { alternate, median, ratios, round, say, spread, type Results } from './measure';
import { measureRun, slowest, timelineSeconds, type MeasuredRun } from './runs';
import { describePhases, type ShellRun } from './shell';

interface Rounds {
  drills: MeasuredRun[];
  plain: ShellRun[];
  scratch: ShellRun[];
}

/** drillRestore against `psql < file.sql` on the server, and against a bare pg_restore into the same kind of cluster. */
export async function measureDrill(bench: Bench, rounds: number): Promise<Results> {
  const { report } = await measureRun(bench, 'backUpDatabase');
  await runBaseline(bench, 'backup');
  const folder = join(bench.directory, 'backups', 'booking', 'production', String(report.facts['backupId']));
  const restorePlain = new URL(bench.postgres.url);
  restorePlain.pathname = '/bench_plain';
  const found: Rounds = { drills: [], plain: [], scratch: [] };
  await alternate(
    rounds,
    [
      async () => {
        const run = await measureRun(bench, 'drillRestore');
        found.drills.push(run);
        say(`drillRestore ${run.seconds.toFixed(2)} s: ${slowest(run.report)}`);
      },
      async () => {
        const run = await runBaseline(bench, 'restore-scratch', {
          DUMP: join(folder, 'data'),
          GLOBALS: join(folder, 'globals.sql'),
        });
        found.scratch.push(run);
        say(`bare pg_restore ${run.seconds.toFixed(2)} s: ${describePhases(run.phases)}`);
      },
      async () => {
        const environment = { ADMIN_URL: bench.postgres.url, RESTORE_URL: restorePlain.href };
        found.plain.push(await runBaseline(bench, 'restore-plain', environment));
        say(`psql < file.sql ${found.plain.at(-1)!.seconds.toFixed(2)} s`);
        await checkPlain(bench);
        await bench.sql('postgres', 'DROP DATABASE bench_plain WITH (FORCE)');
      },
    ],
    bench.settle,
  );
  rmSync(join(bench.directory, 'baseline'), { recursive: true });
  if (!existsSync(folder) || readdirSync(folder).length === 0) throw new Error('the backup went missing');
  return resultsOf(found);
}

/** A baseline that restored nothing would win. */
async function checkPlain({ sql }: Bench): Promise<void> {
  const count = 'SELECT count(*)::int AS rows FROM bookings';
  const [[there], [wanted]] = await Promise.all([
    sql<{ rows: number }>('bench_plain', count),
    sql<{ rows: number }>('booking_production', count),
  ]);
  if (there?.rows !== wanted?.rows) throw new Error('the baseline restored something else');
}

function resultsOf({ drills, plain, scratch }: Rounds): Results {
  const fact = (name: string) => drills.map(({ report }) => Number(report.facts[name]));
  const restore = fact('restoreSeconds');
  const validation = fact('validationSeconds');
  const opening = drills.map(({ report }) => timelineSeconds(report)['Start a disposable cluster'] ?? 0);
  const psql = plain.map(({ seconds }) => seconds);
  const bare = scratch.map(({ seconds }) => seconds);
  const withoutValidation = drills.map(({ seconds }, index) => seconds - validation[index]!);
  const speedups = ratios(psql, restore);
  const withOpening = ratios(
    psql,
    restore.map((seconds, index) => seconds + opening[index]!),
  );
  const overheads = ratios(withoutValidation, bare);
  const shares = ratios(validation, restore);
  return {
    'drill.restoreSpeedup': {
      value: round(median(speedups)),
      unit: 'times as fast',
      baseline: 1,
      note: `goal >= 1.25. Restore step of drillRestore (checksums, pg_restore -j2, disposable cluster): ${spread(restore, 's')}, against CREATE DATABASE and psql < file.sql on the durable server: ${spread(psql, 's')}; ratios ${spread(speedups, '')}; with the time that starting the cluster takes: ${spread(withOpening, '')}`,
    },
    'drill.overhead': {
      value: round(median(overheads)),
      unit: 'times the time',
      baseline: 1,
      note: `goal <= 1.10. Whole run of drillRestore without its validation: ${spread(withoutValidation, 's')}, against a script with initdb, start, pg_restore -j2, stop, rm with the same settings: ${spread(bare, 's')} (parts of the last: ${describePhases(scratch.at(-1)!.phases)}); ratios ${spread(overheads, '')}; slowest steps: ${slowest(drills.at(-1)!.report, 5)}`,
    },
    'drill.validationShare': {
      value: round(median(shares)),
      unit: 'validation over restore',
      note: `goal <= 0.3. Rows of every table, foreign keys, B-trees, invariants, canary, smoke test: ${spread(validation, 's')} over the restore step; shares ${spread(shares, '')}`,
    },
  };
}

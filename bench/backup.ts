import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runBaseline } from './baseline';
import { PLAIN_SERVICE, type Bench } from './environment';
import { alternate, median, ratios, round, say, spread, type Results } from './measure';
import { measureRun, slowest } from './runs';
import { describePhases } from './shell';

/** backUpDatabase, whole run, against `pg_dump > file.sql`, its checksum and the counts. */
export async function measureBackup(bench: Bench, rounds: number): Promise<Results> {
  const seconds = { ours: [] as number[], uncompressed: [] as number[], shell: [] as number[] };
  let bytes = 0;
  let plainBytes = 0;
  let profile = '';
  let shellProfile = '';
  const ours = (service: string, into: number[]) => async () => {
    const run = await measureRun(bench, 'backUpDatabase', { service });
    into.push(run.seconds);
    if (service === PLAIN_SERVICE) return;
    bytes = Number(run.report.facts['backupBytes']);
    profile = slowest(run.report, 4);
    say(`backUpDatabase ${run.seconds.toFixed(2)} s: ${profile}`);
  };
  const shell = async () => {
    const run = await runBaseline(bench, 'backup');
    seconds.shell.push(run.seconds);
    shellProfile = describePhases(run.phases);
    say(`pg_dump > file.sql ${run.seconds.toFixed(2)} s: ${shellProfile}`);
    plainBytes = checkPlain(join(bench.directory, 'baseline'));
    rmSync(join(bench.directory, 'baseline'), { recursive: true });
  };
  // The shell script between the two, so that each of them has it as its neighbour.
  await alternate(
    rounds,
    [ours('booking', seconds.ours), shell, ours(PLAIN_SERVICE, seconds.uncompressed)],
    bench.settle,
  );
  const share = bytes / plainBytes;
  const compressed = ratios(seconds.shell, seconds.ours);
  const uncompressed = ratios(seconds.shell, seconds.uncompressed);
  const against = `against a script with pg_dump > file.sql, sha256sum and counts: ${spread(seconds.shell, 's')}, parts of the last ${shellProfile}`;
  return {
    'backup.speedup': {
      value: round(median(compressed)),
      unit: 'times as fast',
      baseline: 1,
      note: `goal >= 1.0 at <= 0.4 of the bytes, here ${round(share)} of them. Whole run of backUpDatabase (gzip 1, 2 jobs, synced to disk, checked twice): ${spread(seconds.ours, 's')}; its slowest steps: ${profile}; ratios ${spread(compressed, '')}; ${against}`,
    },
    'backup.bytesShare': {
      value: round(share, 3),
      unit: 'bytes of ours over bytes of file.sql',
      baseline: 1,
      note: `goal <= 0.4: ${bytes} against ${plainBytes} bytes`,
    },
    'backup.speedupUncompressed': {
      value: round(median(uncompressed)),
      unit: 'times as fast',
      baseline: 1,
      note: `goal >= 1.3. The same without compression: ${spread(seconds.uncompressed, 's')}; ratios ${spread(uncompressed, '')}; ${against}`,
    },
  };
}

/** A baseline that wrote nothing would win. */
function checkPlain(folder: string): number {
  const { size } = statSync(join(folder, 'file.sql'));
  const counts = readFileSync(join(folder, 'counts'), 'utf8').trim().split('\n');
  if (size < 1_000 || !counts.some((line) => /^public\.bookings\|\d+$/.test(line)))
    throw new Error('the baseline made no proper backup');
  return size;
}

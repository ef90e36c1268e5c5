/** `npm run bench [-- names...] [--megabytes 1000] [--rounds 3] [--kills 20] [--burst 600] [--seconds 300] [--rows 10000000] [--output file]` */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { PACKAGE_ROOT } from '../src/config/version';
import { findPostgresBin } from '../src/host/postgres-bin';
import { measureAlerts } from './alerts';
import { measureAgainstAnsible } from './ansible';
import { measureBackup } from './backup';
import { measureDigest } from './digest';
import { measureBlocking } from './blocking';
import { measureDrill } from './drill';
import { measureGuards } from './guards';
import { openBench, type Bench } from './environment';
import { say, type Result, type Results } from './measure';
import { measureMemory } from './memory';
import { measureMigrate } from './migrate';
import { measureQueueRetry } from './queues';
import { measureOffsite } from './offsite';
import { measureOverload } from './overload';
import { measurePrometheus } from './prometheus';
import { measureRecovery } from './recovery';
import { measureRepair } from './repair';

/** What whoever called can mend: the message is all that they need to see. */
class UsageError extends Error {}

interface Settings {
  megabytes: number;
  rounds: number;
  runs: number;
  kills: number;
  burst: number;
  seconds: number;
  rows: number;
  output: string;
}

interface Group {
  names: string[];
  /** Whether it works on the large database, which is made once for all of these. */
  shared: boolean;
  measure: (settings: Settings, bench: Bench) => Promise<Results>;
}

/** What is measured together, in this order. */
const GROUPS: Group[] = [
  {
    names: ['backup.speedup', 'backup.bytesShare', 'backup.speedupUncompressed'],
    shared: true,
    measure: ({ rounds }, bench) => measureBackup(bench, rounds),
  },
  {
    names: ['drill.restoreSpeedup', 'drill.overhead', 'drill.validationShare'],
    shared: true,
    measure: ({ rounds }, bench) => measureDrill(bench, rounds),
  },
  {
    names: ['offsite.overhead'],
    shared: true,
    measure: ({ rounds }, bench) => measureOffsite(bench, rounds),
  },
  {
    names: ['drill.contentDigest'],
    shared: true,
    measure: ({ rounds }, bench) => measureDigest(bench, rounds),
  },
  {
    names: [
      'migrate.overhead',
      'migrate.overheadUnchecked',
      'step.latencyMs',
      'migrate.historyEvents',
      'migrate.historyBytes',
    ],
    shared: true,
    measure: ({ rounds }, bench) => measureMigrate(bench, rounds),
  },
  {
    names: ['migrate.worstBlockMs', 'migrate.totalBlockMs'],
    shared: true,
    measure: ({ rounds }, bench) => measureBlocking(bench, rounds),
  },
  {
    names: ['alerts.ackP99Ms', 'alerts.perSecond', 'intake.rssMb', 'alerts.duplicates'],
    shared: false,
    measure: () => measureAlerts(),
  },
  { names: ['alerts.vsAnsibleRulebook'], shared: false, measure: () => measureAgainstAnsible() },
  {
    names: [
      'runs.turns',
      'runs.perSecond',
      'guard.signalsPerSecond',
      'places.starvationMs',
      'killSwitch.effectiveMs',
    ],
    shared: false,
    measure: ({ burst }) => measureGuards(burst),
  },
  {
    names: ['recovery.workerMs', 'recovery.frozenMs', 'recovery.postgresMs', 'recovery.serverMs'],
    shared: false,
    measure: ({ kills }) => measureRecovery(kills),
  },
  {
    names: ['overload.drainSeconds', 'overload.pauseMs', 'overload.workerRssMb'],
    shared: false,
    measure: ({ seconds }) => measureOverload(seconds),
  },
  { names: ['queue.retryPerSecond'], shared: false, measure: ({ rounds }) => measureQueueRetry(rounds) },
  {
    names: ['repair.msPer1k', 'repair.longestLockMs'],
    shared: false,
    measure: ({ rows, rounds }) => measureRepair(rows, rounds),
  },
  { names: ['measure.p99Ms'], shared: false, measure: () => measurePrometheus() },
  { names: ['worker.rssMb'], shared: false, measure: ({ runs }) => measureMemory(runs) },
];

async function main(): Promise<void> {
  const { wanted, settings } = readArguments();
  const groups = GROUPS.filter(
    ({ names }) => wanted.length === 0 || names.some((name) => matches(name, wanted)),
  );
  const where = await machine();
  let bench: Bench | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      say('interrupted, cleaning up');
      void close(bench).finally(() => process.exit(130));
    });
  try {
    for (const { names, shared, measure } of groups) {
      say(`measuring ${names.join(', ')}`);
      const load = loadavg()[0]!.toFixed(1);
      if (shared) bench ??= await openBench({ megabytes: settings.megabytes });
      // The memory of the large database must not be there when something else is measured.
      else bench = await close(bench);
      const results = await measure(settings, bench as Bench);
      const size = shared ? `, database of ${Math.round(bench!.sizeBytes / 1e6)} MB` : '';
      const when = new Date().toISOString().slice(0, 10);
      save(settings.output, results, `${where}${size}, load average ${load} before, ${when}`);
    }
  } finally {
    await close(bench);
  }
}

async function close(bench: Bench | undefined): Promise<undefined> {
  await bench?.stop();
  return undefined;
}

function readArguments(): { wanted: string[]; settings: Settings } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      megabytes: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '3' },
      runs: { type: 'string', default: '1000' },
      kills: { type: 'string', default: '20' },
      burst: { type: 'string', default: '600' },
      seconds: { type: 'string', default: '300' },
      rows: { type: 'string', default: '10000000' },
      output: { type: 'string', default: join(PACKAGE_ROOT, 'bench', 'results.json') },
    },
  });
  const settings = {
    megabytes: positive('megabytes', values.megabytes),
    rounds: positive('rounds', values.rounds),
    runs: positive('runs', values.runs),
    kills: positive('kills', values.kills),
    burst: positive('burst', values.burst),
    seconds: positive('seconds', values.seconds),
    rows: positive('rows', values.rows),
    output: resolve(values.output),
  };
  const unknown = positionals.filter((word) => !known().some((name) => matches(name, [word])));
  if (unknown.length > 0)
    throw new UsageError(`unknown: ${unknown.join(', ')}. Known: ${known().join(', ')}.`);
  return { wanted: positionals, settings };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`--${name} needs a number above 0, got "${text}"`);
  return value;
}

const known = (): string[] => GROUPS.flatMap(({ names }) => names);

/** A whole name, or its first part: "backup" is everything about backups. */
function matches(name: string, wanted: string[]): boolean {
  return wanted.some((word) => name === word || name.startsWith(`${word}.`));
}

async function machine(): Promise<string> {
  const { version } = await findPostgresBin();
  return `${availableParallelism()} cores, ${Math.round(totalmem() / 1e9)} GB memory, PostgreSQL ${version}, Node ${process.versions.node}`;
}

/** Merged into what is there, after each group: what was measured is not lost when a later group fails. */
function save(file: string, results: Results, where: string): void {
  const before = readResults(file);
  const entries = Object.entries(results).map(([name, result]): [string, Result] => {
    say(`${name} = ${result.value} ${result.unit}`);
    return [name, { ...result, note: `${result.note}. (${where})` }];
  });
  const merged = Object.fromEntries(
    Object.entries({ ...before, ...Object.fromEntries(entries) }).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  writeFileSync(file, `${JSON.stringify(merged, null, 2)}\n`);
}

function readResults(file: string): Results {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new Error(`${file} cannot be read: ${(error as Error).message}. Remove it to start afresh.`);
  }
}

void main().catch((error: unknown) => {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
});

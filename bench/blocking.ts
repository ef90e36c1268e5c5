import { fork } from 'node:child_process';
import { join } from 'node:path';
import { Client as PgClient } from 'pg';
import { MIGRATION, runBaseline } from './baseline';
import type { Bench } from './environment';
import type { LoadReport } from './load';
import { median, round, say, spread, type Results } from './measure';
import { takeBack } from './migrate';
import { startRun, untilStatus } from './runs';

/** How long the transaction that is in the way stays open. */
const HELD_MS = 6_000;

/**
 * How long customers wait while a migration wants a table that a long transaction holds: migrateDatabase, approved the
 * moment that transaction began, against `psql -f`.
 */
export async function measureBlocking(bench: Bench, rounds: number): Promise<Results> {
  const ours: LoadReport[] = [];
  const psql: LoadReport[] = [];
  for (let turn = 0; turn < rounds; turn += 1) {
    ours.push(await blockedByRun(bench));
    await takeBack(bench);
    await bench.settle();
    psql.push(await blockedByScript(bench));
    await bench.sql('booking_production', 'ALTER TABLE bookings DROP COLUMN notes');
    await bench.settle();
  }
  const pick = (reports: LoadReport[], key: keyof LoadReport) => reports.map((report) => report[key]);
  const setting = `2 readers and 2 writers of the table, a transaction that holds it for ${HELD_MS / 1_000} s, ${MIGRATION}`;
  const usual = `their usual answer takes ${round(median(pick(ours, 'medianMs')), 1)} ms, ${ours.reduce((sum, { failed }) => sum + failed, 0)} queries failed`;
  return {
    'migrate.worstBlockMs': {
      value: round(median(pick(ours, 'worstMs')), 0),
      unit: 'ms',
      baseline: round(median(pick(psql, 'worstMs')), 0),
      note: `goal <= 600; the baseline is plain psql -f in the same run. Longest wait of any query: ${spread(pick(ours, 'worstMs'), 'ms', 0)} against ${spread(pick(psql, 'worstMs'), 'ms', 0)}; ${setting}; ${usual}`,
    },
    'migrate.totalBlockMs': {
      value: round(median(pick(ours, 'blockedMs')), 0),
      unit: 'ms',
      baseline: round(median(pick(psql, 'blockedMs')), 0),
      note: `time during which some query had been waiting for more than 50 ms: ${spread(pick(ours, 'blockedMs'), 'ms', 0)} against ${spread(pick(psql, 'blockedMs'), 'ms', 0)} with psql -f`,
    },
  };
}

async function blockedByRun(bench: Bench): Promise<LoadReport> {
  const handle = await startRun(bench, 'migrateDatabase', { files: [MIGRATION], mode: 'propose' });
  const { plan } = await untilStatus(handle, ({ waiting }) => waiting.length > 0, 600_000);
  const report = await underLoad(bench, async () => {
    await handle.executeUpdate('approve', { args: [{ plan: plan?.hash ?? '', by: 'bench' }] });
    await handle.result();
  });
  say(`migrateDatabase: worst ${round(report.worstMs, 0)} ms, blocked ${round(report.blockedMs, 0)} ms`);
  return report;
}

async function blockedByScript(bench: Bench): Promise<LoadReport> {
  const report = await underLoad(bench, () => runBaseline(bench, 'apply'));
  say(`psql -f: worst ${round(report.worstMs, 0)} ms, blocked ${round(report.blockedMs, 0)} ms`);
  return report;
}

/** Runs `body` while customers come and a transaction that has read the table stays open. */
async function underLoad(bench: Bench, body: () => Promise<unknown>): Promise<LoadReport> {
  const url = bench.booking.urls.production.app;
  const load = fork(join(__dirname, 'load.js'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    await new Promise((resolve, reject) => {
      load.once('message', resolve);
      load.once('exit', (code) => reject(new Error(`the load ended with ${code}`)));
      load.send(url);
    });
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // into its stride
    const holder = await holdTable(url);
    await body();
    await holder.released;
    await new Promise((resolve) => setTimeout(resolve, 500));
    const reported = new Promise<LoadReport>((resolve) => load.once('message', resolve as () => void));
    load.send('stop');
    return await reported;
  } finally {
    load.kill();
  }
}

/** Resolves once the table is held; the promise in it ends with the transaction. */
async function holdTable(url: string): Promise<{ released: Promise<void> }> {
  const client = new PgClient({ connectionString: url, application_name: 'bench-report' });
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT id FROM bookings LIMIT 1');
  const released = client
    .query('SELECT pg_sleep($1)', [HELD_MS / 1_000])
    .then(() => client.query('COMMIT'))
    .finally(() => client.end())
    .then(() => undefined);
  return { released };
}

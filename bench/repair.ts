import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { parseDocument } from 'yaml';
import { setUpBooking } from '../examples/booking/setup';
import { createBookingActivities } from '../src/activities/bookings';
import { loadProject } from '../src/check/load-project';
import { setEnvironment } from '../src/config/secrets';
import { dataPath } from '../src/host/cache';
import { startPostgres } from '../src/host/postgres';
import { untilIdle } from './idle';
import { alternate, median, ratios, round, say, spread, timed, type Results } from './measure';
import { cancelByHand, KEPT, releaseByHand } from './repair-by-hand';
import { addRows, holdAgain, sellTwice } from './repair-rows';

/** Rows that a turn of each kind repairs. */
const TARGETS = 1_000;
const LOOK_EVERY_MS = 2;

interface Sides {
  ours: number[];
  byHand: number[];
}

/**
 * Double bookings and stuck holds in a table of so many rows, repaired by the activities of the runbooks, beside SQL that a
 * careful person would write: in batches of the same size, with row locks, rows as they were, links, slots and audit rows.
 */
export async function measureRepair(rows: number, rounds: number): Promise<Results> {
  const parent = dataPath('bench');
  mkdirSync(parent, { recursive: true });
  // Named as `openBench` names its own, which removes what a bench that was killed has left.
  const directory = mkdtempSync(join(parent, `${process.pid}-`));
  chmodSync(directory, 0o755); // the server's user must get through
  const stops: (() => Promise<unknown>)[] = [];
  try {
    mkdirSync(join(directory, 'postgres'));
    const postgres = await startPostgres({
      directory: join(directory, 'postgres'),
      settings: { shared_buffers: '512MB', max_wal_size: '4GB', maintenance_work_mem: '256MB' },
    });
    stops.push(() => postgres.stop());
    const booking = await setUpBooking({ adminUrl: postgres.url, directory, megabytes: 5 });
    const url = new URL(postgres.url);
    url.pathname = '/booking_production';
    const sql = new Client({ connectionString: url.href });
    await sql.connect();
    stops.push(() => sql.end());
    say(`making a table of ${rows} bookings`);
    await addRows(sql, rows);
    await sql.query(KEPT);
    setEnvironment({ ...booking.environment, BOOKING_APP_URL: 'http://127.0.0.1:9', BOOKING_INBOX_URL: '' });
    allowSoMany(booking.configFile);
    return await compare(loadProject(booking.configFile), { sql, url: url.href }, rows, rounds);
  } finally {
    for (const stop of stops.reverse()) await stop().catch(() => undefined);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function allowSoMany(file: string): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  document.setIn(['services', 'booking', 'maxDestructive'], TARGETS);
  writeFileSync(file, document.toString());
}

async function compare(
  config: ReturnType<typeof loadProject>,
  { sql, url }: { sql: Client; url: string },
  rows: number,
  rounds: number,
): Promise<Results> {
  const acts = createBookingActivities({ config });
  const { batchRows } = (config.services['booking'] as unknown as { bookings: { batchRows: number } })
    .bookings;
  const place = { service: 'booking', environment: 'production' };
  const fence = { target: 'booking/production', token: 1 };
  let turn = 0;
  const input = () => ({ ...place, run: `bench-${(turn += 1)}`, fence });
  const [twice, held]: Sides[] = [
    { ours: [], byHand: [] },
    { ours: [], byHand: [] },
  ];
  const locks: number[] = [];
  const exactly = (done: number) => {
    if (done !== TARGETS) throw new Error(`${done} of ${TARGETS} were repaired`);
  };
  const watched = async (body: () => Promise<{ done: number }>) => {
    const watch = await watchLocks(url);
    const { seconds, result } = await timed(body);
    locks.push(await watch.worst());
    exactly(result.done);
    return seconds * 1_000;
  };
  const settle = async () => {
    await sql.query('CHECKPOINT');
    await untilIdle();
  };
  const contenders = [
    async () => {
      await sellTwice(sql, TARGETS);
      const { conflicts } = await acts.findDoubleBookings(place);
      const resolutions = conflicts.map(({ slot, bookings: [keep, ...cancel] }) => ({
        ...{ slot, keep: keep!, cancel },
      }));
      await settle();
      twice!.ours.push(await watched(() => acts.cancelDoubleBookings({ ...input(), resolutions })));
      await holdAgain(sql, TARGETS);
      const { cutoff } = await acts.findStuckHolds(place);
      await settle();
      const releasing = { ...input(), cutoff, most: TARGETS };
      held!.ours.push(await watched(() => acts.releaseStuckHolds(releasing)));
    },
    async () => {
      const pairs = await sellTwice(sql, TARGETS);
      await settle();
      const cancelled = await timed(() => cancelByHand(sql, pairs, batchRows));
      exactly(cancelled.result);
      twice!.byHand.push(cancelled.seconds * 1_000);
      await holdAgain(sql, TARGETS);
      await settle();
      const released = await timed(() => releaseByHand(sql, TARGETS, batchRows));
      exactly(released.result);
      held!.byHand.push(released.seconds * 1_000);
    },
  ];
  await alternate(rounds, contenders, async () => undefined);
  return resultsOf(twice!, held!, locks, { rows, batchRows });
}

function resultsOf(
  twice: Sides,
  held: Sides,
  locks: number[],
  { rows, batchRows }: { rows: number; batchRows: number },
): Results {
  const both = (side: keyof Sides) => twice[side].map((ms, index) => (ms + held[side][index]!) / 2);
  const part = (name: string, { ours, byHand }: Sides) =>
    `${name} ${spread(ours, 'ms')} against ${spread(byHand, 'ms')}, ratio ${round(median(ratios(ours, byHand)))}`;
  return {
    'repair.msPer1k': {
      value: round(median(both('ours')), 0),
      unit: 'ms',
      baseline: round(median(both('byHand')), 0),
      note: `goal <= 1.3 of SQL by hand. ${TARGETS} rows of a table of ${rows.toLocaleString('en-US')}, ${batchRows} a batch: ${part('double bookings', twice)}; ${part('stuck holds', held)}; ratio of both ${round(median(ratios(both('ours'), both('byHand'))))}`,
    },
    'repair.longestLockMs': {
      value: round(Math.max(...locks), 0),
      unit: 'ms',
      note: `goal <= 200. The longest that a transaction of these repairs had been writing when it was looked at, every ${LOOK_EVERY_MS} ms; median of the turns ${round(median(locks), 0)}`,
    },
  };
}

/** A transaction that has written holds its row locks until it ends. */
async function watchLocks(url: string): Promise<{ worst(): Promise<number> }> {
  const client = new Client({ connectionString: url, application_name: 'bench-watch' });
  await client.connect();
  const watching = { over: false };
  let worst = 0;
  const looking = (async () => {
    while (!watching.over) {
      const { rows } = await client.query<{ ms: number | null }>(
        `SELECT max(extract(epoch FROM clock_timestamp() - xact_start) * 1000)::float AS ms FROM pg_stat_activity
          WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()`,
      );
      worst = Math.max(worst, rows[0]!.ms ?? 0);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  })();
  return {
    worst: async () => {
      watching.over = true;
      await looking;
      await client.end();
      return worst;
    },
  };
}

import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { Client as PgClient } from 'pg';
import { parseDocument } from 'yaml';
import { startBookingApp } from '../examples/booking/app';
import { startInbox } from '../examples/shared/inbox';
import { setUpBooking, type BookingSetUp } from '../examples/booking/setup';
import { createPackActivities } from '../src/packs/definition/combine';
import type { Project } from '../src/catalogue/catalogue';
import { loadProject } from '../src/check/load-project';
import { setEnvironment } from '../src/config/secrets';
import { dataPath } from '../src/host/cache';
import { startPostgres, type LocalPostgres } from '../src/host/postgres';
import { startTemporal, type LocalTemporal } from '../src/local/temporal';
import { startWorker } from '../src/worker/worker';
import { untilIdle } from './idle';
import { say } from './measure';
import { recordCalls, type Recorder } from './recorder';

/** A booking service of a given size with everything around it, on the loopback address. */
export interface Bench {
  directory: string;
  configFile: string;
  config: Project;
  temporal: LocalTemporal;
  postgres: LocalPostgres;
  booking: BookingSetUp;
  appUrl: string;
  client: Client;
  /** When each activity began and ended. */
  calls: Recorder;
  sizeBytes: number;
  /** Runs statements as superuser in one database. */
  sql<T = Record<string, unknown>>(database: string, statement: string): Promise<T[]>;
  /** Lets the disk and the server finish what the previous measurement left them, and waits for a quiet machine. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

export interface BenchOptions {
  megabytes: number;
  /** false: the worker is started by the measurement, in a process of its own. */
  worker?: boolean;
  /** Changes the configuration before it is read. */
  prepare?: (configFile: string) => void;
}

/** The service that is backed up without compression; everything else is as in `booking`. */
export const PLAIN_SERVICE = 'plain';
/** The service whose backups have digests of their contents. */
export const DIGESTED_SERVICE = 'digested';

/** Starts it all; `stop` removes every trace. Throws, having removed what was made, when a part does not start. */
export async function openBench({ megabytes, worker = true, prepare }: BenchOptions): Promise<Bench> {
  const parent = dataPath('bench');
  mkdirSync(parent, { recursive: true });
  removeLeftovers(parent);
  const directory = mkdtempSync(join(parent, `${process.pid}-`));
  chmodSync(directory, 0o755); // the server's user must get through
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end().catch(() => undefined);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    return { ...(await open(directory, megabytes, worker, prepare, stops)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What a bench that was killed could not remove; its servers ended with it. */
function removeLeftovers(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = Number.parseInt(name, 10);
    if (!isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function open(
  directory: string,
  megabytes: number,
  withWorker: boolean,
  prepare: BenchOptions['prepare'],
  stops: (() => Promise<unknown>)[],
): Promise<Omit<Bench, 'stop'>> {
  say(`starting the servers, creating a booking database of ${megabytes} MB`);
  const temporal = await startTemporal({ directory: made(directory, 'temporal') });
  stops.push(() => temporal.stop());
  // The durability and the limits of an ordinary server; only the memory is what one would give it.
  const postgres = await startPostgres({
    directory: made(directory, 'postgres'),
    settings: { shared_buffers: '512MB', max_wal_size: '4GB', maintenance_work_mem: '256MB' },
  });
  stops.push(() => postgres.stop());
  const booking = await setUpBooking({ adminUrl: postgres.url, directory, megabytes });
  const app = await startBookingApp({ databaseUrl: booking.urls.production.app });
  stops.push(() => app.stop());
  const inbox = await startInbox();
  stops.push(() => inbox.stop());
  setEnvironment({ ...booking.environment, BOOKING_APP_URL: app.url, BOOKING_INBOX_URL: inbox.url });
  writeConfig(booking.configFile, temporal.address);
  prepare?.(booking.configFile);
  const config = loadProject(booking.configFile);
  const connection = await Connection.connect({ address: temporal.address });
  stops.push(() => connection.close());
  const client = new Client({ connection });
  const { calls, activities } = recordCalls(
    createPackActivities(config.installed, { config, catalogue: config.catalogue, client }),
  );
  if (withWorker) {
    const running = await startWorker(config, { activities });
    stops.push(() => running.stop());
  }
  const sql = sqlOn(postgres.url);
  // Nothing of the application's own may change what is counted twice.
  await sql(
    'booking_production',
    `UPDATE bookings SET expires_at = expires_at + interval '1 day' WHERE status = 'held'`,
  );
  const [size] = await sql<{ bytes: string }>(
    'postgres',
    `SELECT pg_database_size('booking_production')::text AS bytes`,
  );
  const settle = async (): Promise<void> => {
    await sql('postgres', 'CHECKPOINT');
    await promisify(execFile)('sync');
    await untilIdle();
  };
  const parts = { directory, configFile: booking.configFile, config, temporal, postgres, booking, client };
  return { ...parts, appUrl: app.url, calls, sizeBytes: Number(size?.bytes), sql, settle };
}

function made(...parts: string[]): string {
  const path = join(...parts);
  mkdirSync(path, { recursive: true });
  return path;
}

/** The sample's configuration without its pauses, and two more services over the same databases. */
function writeConfig(file: string, temporalAddress: string): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  const booking = ['services', 'booking'];
  document.setIn(['temporal', 'address'], temporalAddress);
  document.setIn([...booking, 'environments', 'production', 'application', 'soakSeconds'], 0);
  document.setIn([...booking, 'backups', 'keep'], 1);
  // With everything else, so that an interrupted measurement leaves nothing either.
  document.setIn([...booking, 'restore', 'scratchDirectory'], 'scratch');
  const plain = (document.toJS() as { services: { booking: { backups: object } } }).services.booking;
  const backups = { ...plain.backups, directory: 'backups-plain', compression: 0 };
  document.setIn(['services', PLAIN_SERVICE], document.createNode({ ...plain, backups }));
  const digested = { ...plain.backups, directory: 'backups-digested', contentDigest: true };
  document.setIn(['services', DIGESTED_SERVICE], document.createNode({ ...plain, backups: digested }));
  writeFileSync(file, document.toString({ lineWidth: 110 }));
}

function sqlOn(adminUrl: string): Bench['sql'] {
  return async <T>(database: string, statement: string) => {
    const url = new URL(adminUrl);
    url.pathname = `/${database}`;
    const client = new PgClient({ connectionString: url.href });
    await client.connect();
    try {
      return (await client.query(statement)).rows as T[];
    } finally {
      await client.end();
    }
  };
}

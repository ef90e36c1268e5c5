import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { startDriver, type Driver } from '../runs/harness';
import { EXPIRE_EVERY_SECONDS, startSampleApp, type SampleApp } from '../runs/sample-app';
import { startWorkerProcess, WorkerHangs, type WorkerProcess } from '../runs/worker-process';
import { startWriter, type Writer } from './writer';

/** Real servers, two workers, an application with customers, and a writer that remembers what it was told. */
export interface World {
  driver: Driver;
  app: SampleApp;
  writer: Writer;
  workers: Supervised[];
  temporal: LocalTemporal;
  /** Workers that ended though nobody had killed them. */
  crashes: string[];
  sql: Driver['sql'];
  stop(): Promise<void>;
}

/** A worker that is started again whenever it has ended, as in production. */
export interface Supervised {
  now: WorkerProcess | undefined;
  kill(): Promise<void>;
}

const BOOKINGS = 400;
const WORKERS = 2;
const RESTART_MS = 500;

export async function openWorld(): Promise<World> {
  const driver = await startDriver(BOOKINGS, false);
  const { stack } = driver;
  let world: World | undefined;
  const stops: (() => Promise<unknown>)[] = [() => stack.stop(), async () => world?.temporal.stop()];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end().catch(() => undefined);
  };
  try {
    const app = await startSampleApp(driver);
    stops.push(() => app.stop());
    shorten(stack.configFile);
    await createEffects(driver);
    const writer = startWriter(stack.booking.urls.production.app);
    stops.push(() => writer.stop());
    const crashes: string[] = [];
    const workers = Array.from({ length: WORKERS }, () => supervise(stack.configFile, crashes, stops));
    world = { driver, app, writer, workers, temporal: stack.temporal, crashes, sql: patient(driver), stop };
    while (workers.some(({ now }) => now === undefined)) await sleep(50);
    // Something to restore.
    await driver.run('backUpDatabase');
    return world;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Started again with the same file it goes on with the runs that it had. */
export async function restartTemporal(world: World): Promise<void> {
  const { port, uiPort } = world.temporal;
  world.temporal = await startTemporal({
    directory: join(world.driver.stack.directory, 'temporal'),
    port,
    uiPort,
  });
}

function supervise(configFile: string, crashes: string[], stops: (() => Promise<unknown>)[]): Supervised {
  let stopped = false;
  let meant = false;
  const supervised: Supervised = {
    now: undefined,
    kill: async () => {
      meant = true;
      await supervised.now?.kill();
    },
  };
  const running = (async () => {
    while (!stopped) {
      try {
        const worker = await startWorkerProcess(configFile);
        meant = false;
        supervised.now = worker;
        const how = await worker.exited;
        if (!meant && !stopped) crashes.push(how);
      } catch (error) {
        // Without a server it ends at once; whoever keeps it alive tries again.
        if (error instanceof WorkerHangs) crashes.push(error.message);
      }
      supervised.now = undefined;
      if (!stopped) await sleep(RESTART_MS);
    }
  })();
  stops.push(async () => {
    stopped = true;
    supervised.now?.thaw();
    await supervised.kill();
    await running;
  });
  return supervised;
}

export const INVARIANT = 'no migration of the chaos is unwell';

/** Limits of seconds, and what a migration can break in production alone. */
function shorten(file: string): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  const service = ['services', 'booking'];
  const application = [...service, 'environments', 'production', 'application'];
  document.setIn([...service, 'connections'], {
    idleInTransactionSeconds: 1,
    longQuerySeconds: 30,
    graceSeconds: 1,
    poolStep: 5,
  });
  document.setIn([...application, 'soakSeconds'], 1);
  document.setIn([...application, 'soakEverySeconds'], 0.5);
  document.setIn([...application, 'errorRate', 'windowSeconds'], 2);
  // The job comes every second here: see the sample application of the tests.
  document.setIn([...application, 'crons', 'expire-bookings', 'everySeconds'], EXPIRE_EVERY_SECONDS);
  document.setIn([...application, 'crons', 'expire-bookings', 'settleSeconds'], 2);
  document.setIn([...service, 'environments', 'production', 'webhooks', 'roundEverySeconds'], 1);
  for (const part of ['bookings', 'listings']) document.setIn([...service, part, 'batchRows'], 1);
  document.setIn([...service, 'migrations', 'lockDeadlineSeconds'], 20);
  document.setIn([...service, 'backups', 'keep'], 8);
  document.addIn([...service, 'invariants'], {
    name: INVARIANT,
    sql: `SELECT migration FROM chaos_effects WHERE migration LIKE '%unwell%' AND current_database() = 'booking_production'`,
  });
  writeFileSync(file, document.toString({ lineWidth: 110 }));
}

/** Where each migration leaves one row each time that it is applied. */
async function createEffects({ sql }: Driver): Promise<void> {
  for (const environment of ['production', 'staging'] as const)
    await sql(
      `CREATE TABLE chaos_effects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, migration text NOT NULL);
       ALTER TABLE chaos_effects OWNER TO booking_owner`,
      environment,
    );
}

/** What is asked of the database between two rounds, when it may have been started a moment ago. */
function patient({ sql }: Driver): Driver['sql'] {
  return async <T>(statement: string, environment?: 'production' | 'staging' | 'postgres') => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await sql<T>(statement, environment);
      } catch (error) {
        if (tries >= 20 || !isLoss(error)) throw error;
        await sleep(250);
      }
    }
  };
}

function isLoss(error: unknown): boolean {
  const { code = '', message } = error as { code?: string; message: string };
  return /^(57P|08|ECONN|3D000)/.test(code) || /terminated|Connection/.test(message);
}

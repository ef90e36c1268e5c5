import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseDocument } from 'yaml';
import { Client, Connection } from '@temporalio/client';
import { startBookingApp, type BookingApp } from '../../examples/booking/app';
import { startInbox, type Inbox } from '../../examples/booking/inbox';
import { sampleProgram } from '../../examples/booking/files';
import { setUpBooking, type BookingSetUp } from '../../examples/booking/setup';
import { jsonLog } from '../alerts/log';
import { startIntake, type RunningIntake } from '../worker/intake';
import { createScratchActivities } from '../activities/postgres/restore/scratch-activities';
import type { Project } from '../catalogue/catalogue';
import { loadProject } from '../check/load-project';
import type { LoadedConfig } from '../config/load';
import { setEnvironment } from '../config/secrets';
import { temporalOptions } from '../config/temporal';
import { PACKAGE_ROOT } from '../config/version';
import { startWorker, type RunningWorker } from '../worker/worker';
import { dataPath, type Progress } from '../host/cache';
import { freePort } from '../host/guardian';
import { startPostgres, type LocalPostgres } from '../host/postgres';
import { startTemporal, type LocalTemporal } from './temporal';

export interface StackOptions {
  /** Keeps everything in this folder, and goes on with what is in it. Default: a fresh folder, removed at the end. */
  directory?: string;
  bookings?: number;
  /** Start a worker in this process. Default true. */
  worker?: boolean;
  /** Take alerts over HTTP, in this process. Default false. */
  intake?: boolean;
  /** Of the Temporal server, e.g. limits. */
  dynamicConfig?: Record<string, string>;
  /** Settings of PostgreSQL, e.g. libraries to load. */
  postgres?: Record<string, string>;
}

export interface Stack {
  directory: string;
  configFile: string;
  config: Project;
  temporal: LocalTemporal;
  postgres: LocalPostgres;
  app: BookingApp;
  booking: BookingSetUp;
  inbox: Inbox;
  client: Client;
  worker: RunningWorker;
  intake?: RunningIntake;
  /** What the intake refused, and what it could not route. */
  intakeLog?: string;
  /** Shell file with what the sample's own programs, and whoever sends it an alert, need. Secrets. */
  environmentFile: string;
  stop(): Promise<void>;
}

/** One part of the stack: how it is started, and what it adds. */
export interface StackStep {
  title: string;
  start: (progress: Progress) => Promise<void>;
}

const DEFAULT_BOOKINGS = 20_000;

/**
 * The embedded stack of real parts: Temporal, PostgreSQL, the booking sample with its application, a worker. `steps` are
 * run in order by the caller, so that it can show their progress; `stack()` has everything once they are done, and
 * `stop()` ends what was started, also when only half of it was.
 */
export function createStack({
  directory: given,
  bookings = DEFAULT_BOOKINGS,
  worker: withWorker = true,
  intake: withIntake = false,
  dynamicConfig = {},
  postgres: settings = {},
}: StackOptions = {}) {
  const parent = dataPath('stacks');
  mkdirSync(parent, { recursive: true });
  if (given === undefined) removeAbandoned(parent);
  const directory = given ?? mkdtempSync(join(parent, 'stack-'));
  if (given === undefined) writeFileSync(join(directory, OWNER), String(process.pid));
  // The unprivileged user that runs PostgreSQL must get through; what is private in it has modes of its own.
  if (given === undefined) chmodSync(directory, 0o755);
  const parts: Partial<Stack> = { directory };
  const stops: (() => Promise<unknown>)[] = [];

  const steps: StackStep[] = [
    {
      title: 'Temporal server and UI',
      start: async (progress) => {
        parts.temporal = await startTemporal({
          directory: made(join(directory, 'temporal')),
          progress,
          dynamicConfig,
        });
        stops.push(() => need(parts.temporal).stop());
      },
    },
    {
      title: 'PostgreSQL',
      start: async () => {
        parts.postgres = await startPostgres({ directory: made(join(directory, 'postgres')), settings });
        stops.push(() => need(parts.postgres).stop());
      },
    },
    {
      title: `Booking sample with ${bookings.toLocaleString('en-US')} bookings`,
      start: async (progress) => {
        const booking = await setUpBooking({
          adminUrl: need(parts.postgres).url,
          directory,
          bookings,
          onProgress: progress,
        });
        parts.booking = booking;
        const inbox = await startInbox();
        parts.inbox = inbox;
        stops.push(() => inbox.stop());
        const app = await startBookingApp({
          databaseUrl: booking.urls.production.app,
          traffic: true,
          directory,
          operationsToken: booking.environment['BOOKING_OPERATIONS_TOKEN'],
          cronSecret: booking.environment['BOOKING_CRON_SECRET'],
          paymentsKey: booking.environment['BOOKING_PAYMENTS_KEY'],
        });
        parts.app = app;
        stops.push(() => app.stop());
      },
    },
    {
      title: 'Worker',
      start: async () => {
        const { booking, app, inbox, temporal } = {
          booking: need(parts.booking),
          app: need(parts.app),
          inbox: need(parts.inbox),
          temporal: need(parts.temporal),
        };
        const environment = {
          ...booking.environment,
          BOOKING_APP_URL: app.url,
          BOOKING_INBOX_URL: inbox.url,
        };
        setEnvironment(environment);
        parts.environmentFile = writeEnvironment(directory, {
          ...environment,
          RUNBOOKS_CONFIG: booking.configFile,
          DATABASE_URL: booking.urls.production.app,
        });
        completeConfig(booking.configFile, temporal, await freePort());
        parts.configFile = booking.configFile;
        const config = loadProject(booking.configFile);
        parts.config = config;
        const { connection: reach, client } = temporalOptions(config);
        const connection = await Connection.connect(reach);
        parts.client = new Client({ connection, ...client });
        stops.push(() => connection.close());
        if (!withWorker) return;
        const worker = await startWorker(config);
        parts.worker = worker;
        stops.push(() => worker.stop());
      },
    },
  ];

  if (withIntake) {
    steps.push({
      title: 'Intake of alerts',
      start: async () => {
        const file = join(directory, 'intake.log');
        parts.intakeLog = file;
        const log = jsonLog((line) => appendFileSync(file, `${line}\n`));
        const intake = await startIntake(need(parts.config), { log });
        parts.intake = intake;
        stops.push(() => intake.stop());
      },
    });
  }

  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end().catch(() => undefined);
    if (parts.config !== undefined) await dropScratchClusters(parts.config);
    if (given === undefined) rmSync(directory, { recursive: true, force: true });
  };
  return { steps, stop, stack: (): Stack => ({ ...(parts as Stack), stop }) };
}

/** Starts the whole stack without showing progress, e.g. for tests. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { steps, stop, stack } = createStack(options);
  try {
    for (const { start } of steps) await start(() => undefined);
  } catch (error) {
    await stop();
    throw error;
  }
  return stack();
}

const SCRATCH = 'scratch';

/** A run that needs a person keeps its disposable cluster; the end of the stack is the end of that too. */
async function dropScratchClusters(config: LoadedConfig): Promise<void> {
  const folder = join(config.directory, SCRATCH);
  const { dropScratch } = createScratchActivities({ config });
  for (const scratch of existsSync(folder) ? readdirSync(folder) : []) {
    await dropScratch({ scratch }).catch(() => undefined);
  }
}

/** Holds the process ID of who made the folder. */
const OWNER = 'owner.pid';

/** Folders of stacks whose process was killed: nothing runs in them any longer. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    try {
      process.kill(Number(readFileSync(join(directory, OWNER), 'utf8')), 0);
    } catch (error) {
      // ESRCH: nobody has that ID. Anything else, e.g. no owner yet: not ours to judge.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH')
        rmSync(directory, { recursive: true, force: true });
    }
  }
}

function made(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

/** Every command finds this stack through its configuration file, and all that it makes lies in its folder. */
function completeConfig(file: string, { address, uiUrl }: LocalTemporal, alertsPort: number): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  document.setIn(['temporal', 'address'], address);
  document.setIn(['temporal', 'uiUrl'], uiUrl);
  document.setIn(['services', 'booking', 'restore', 'scratchDirectory'], SCRATCH);
  document.setIn(['alerts', 'port'], alertsPort);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, document.toString({ lineWidth: 110 }));
}

/** For `. FILE` in another terminal. */
function writeEnvironment(directory: string, variables: Record<string, string>): string {
  const file = join(directory, 'sample.env');
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
  // So that every command that is printed works as it is, in the clone and from the package, in any folder.
  const programs = {
    runbooks: join(PACKAGE_ROOT, 'dist/src/cli/main.js'),
    trouble: sampleProgram('trouble.js'),
  };
  for (const [name, path] of Object.entries(programs))
    lines.push(`${name}() { '${process.execPath}' '${path}' "$@"; }\n`);
  writeFileSync(file, lines.join(''), { mode: 0o600 });
  return file;
}

function need<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the steps of the stack were started out of order');
  return part;
}

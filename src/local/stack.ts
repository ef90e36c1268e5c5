import { randomBytes } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadExample } from '../../examples/index';
import type { Example, RunningExample } from '../../examples/example';
import type { RunningBooking } from '../../examples/booking/example';
import { startInbox, type Inbox } from '../../examples/shared/inbox';
import { jsonLog } from '../alerts/log';
import { startIntake, type RunningIntake } from '../worker/intake';
import { createScratchActivities } from '../activities/postgres/restore/scratch-activities';
import type { Project } from '../catalogue/catalogue';
import { loadProject } from '../check/load-project';
import type { LoadedConfig } from '../config/load';
import { setEnvironment } from '../config/secrets';
import { temporalOptions } from '../config/temporal';
import { startWorker, type RunningWorker } from '../worker/worker';
import { dataPath, type Progress } from '../host/cache';
import { freePort } from '../host/guardian';
import { startPostgres, type LocalPostgres } from '../host/postgres';
import { findRedis, startRedis, type LocalRedis } from '../host/redis';
import {
  claimFor,
  completeConfig,
  made,
  markOwned,
  removeAbandoned,
  SCRATCH,
  writeEnvironment,
} from './stack-files';
import { startTemporal, type LocalTemporal } from './temporal';

export interface StackOptions {
  /** Keeps everything in this folder, and goes on with what is in it. Default: a fresh folder, removed at the end. */
  directory?: string;
  /** Start a worker in this process. Default true. */
  worker?: boolean;
  /** Take alerts over HTTP, in this process. Default false. */
  intake?: boolean;
  /** Of the Temporal server, e.g. limits. */
  dynamicConfig?: Record<string, string>;
  /** Settings of PostgreSQL, e.g. libraries to load. */
  postgres?: Record<string, string>;
}

export interface ExampleStack<Running extends RunningExample = RunningExample> {
  directory: string;
  configFile: string;
  config: Project;
  temporal: LocalTemporal;
  postgres: LocalPostgres;
  /** Where the example needs it. */
  redis?: LocalRedis;
  example: Running;
  inbox: Inbox;
  client: Client;
  worker: RunningWorker;
  intake?: RunningIntake;
  /** What the intake refused, and what it could not route. */
  intakeLog?: string;
  /** Shell file with what the example's own programs, and whoever sends it an alert, need. Secrets. */
  environmentFile: string;
  stop(): Promise<void>;
}

/** With the booking sample. */
export type Stack = ExampleStack<RunningBooking> & Pick<RunningBooking, 'app' | 'booking'>;

/** One part of the stack: how it is started, and what it adds. */
export interface StackStep {
  title: string;
  start: (progress: Progress) => Promise<void>;
}

/**
 * The embedded stack of real parts: Temporal, PostgreSQL, an example with what it needs, a worker. `steps` are run in
 * order by the caller, so that it can show their progress; `stack()` has everything once they are done, and `stop()` ends
 * what was started, also when only half of it was. Throws RedisNotFound before it has made anything.
 */
export function createStack(
  example: Example,
  {
    directory: given,
    worker: withWorker = true,
    intake: withIntake = false,
    dynamicConfig = {},
    postgres: settings = {},
  }: StackOptions = {},
) {
  const withRedis = example.needs.includes('redis');
  if (withRedis) findRedis();
  const directory = given ?? freshFolder();
  claimFor(example.name, directory);
  const parts: Partial<ExampleStack> = { directory };
  const stops: (() => Promise<unknown>)[] = [];
  let ended = false;
  /** What comes up while everything ends already goes at once. */
  const endLater = async (stop: () => Promise<unknown>): Promise<void> => {
    stops.push(stop);
    if (ended) await endAll();
  };
  const endAll = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end().catch(() => undefined);
  };

  const steps: StackStep[] = [
    {
      title: 'Temporal server and UI',
      start: async (progress) => {
        const folder = made(join(directory, 'temporal'));
        const temporal = await startTemporal({ directory: folder, progress, dynamicConfig });
        parts.temporal = temporal;
        await endLater(() => temporal.stop());
      },
    },
    {
      title: 'PostgreSQL',
      start: async () => {
        const folder = made(join(directory, 'postgres'));
        const postgres = await startPostgres({ directory: folder, settings });
        parts.postgres = postgres;
        await endLater(() => postgres.stop());
      },
    },
    {
      title: example.title,
      start: async (progress) => {
        const inbox = await startInbox();
        parts.inbox = inbox;
        await endLater(() => inbox.stop());
        const running = await example.start({
          adminUrl: need(parts.postgres).url,
          ...(withRedis ? { redisUrl: need(parts.redis).url } : {}),
          directory,
          inboxUrl: inbox.url,
          progress,
        });
        parts.example = running;
        await endLater(() => running.stop());
      },
    },
    {
      title: 'Worker',
      start: async () => {
        const { configFile, environment, trouble } = need(parts.example);
        setEnvironment(environment);
        const alertsPort = await freePort();
        const forShell = {
          ...environment,
          RUNBOOKS_CONFIG: configFile,
          RUNBOOKS_ALERTS_URL: `http://127.0.0.1:${alertsPort}/alerts`,
        };
        parts.environmentFile = writeEnvironment(directory, forShell, trouble);
        completeConfig(configFile, need(parts.temporal), alertsPort);
        parts.configFile = configFile;
        const config = loadProject(configFile);
        parts.config = config;
        const { connection: reach, client } = temporalOptions(config);
        const connection = await Connection.connect(reach);
        parts.client = new Client({ connection, ...client });
        await endLater(() => connection.close());
        if (!withWorker) return;
        const worker = await startWorker(config);
        parts.worker = worker;
        await endLater(() => worker.stop());
      },
    },
  ];

  if (withRedis) {
    steps.splice(2, 0, {
      title: 'Redis',
      start: async () => {
        const password = randomBytes(24).toString('base64url');
        const redis = await startRedis({ directory: made(join(directory, 'redis')), password });
        parts.redis = redis;
        await endLater(() => redis.stop());
      },
    });
  }
  if (withIntake) {
    steps.push({
      title: 'Intake of alerts',
      start: async () => {
        const file = join(directory, 'intake.log');
        parts.intakeLog = file;
        const log = jsonLog((line) => appendFileSync(file, `${line}\n`));
        const intake = await startIntake(need(parts.config), { log });
        parts.intake = intake;
        await endLater(() => intake.stop());
      },
    });
  }

  const stop = async (): Promise<void> => {
    ended = true;
    await endAll();
    if (parts.config !== undefined) await dropScratchClusters(parts.config);
    if (given === undefined) rmSync(directory, { recursive: true, force: true });
  };
  const startable = steps.map(({ title, start }) => ({
    title,
    start: async (progress: Progress) => {
      if (ended) throw new Error('the stack has been stopped');
      await start(progress);
    },
  }));
  return { steps: startable, stop, stack: (): ExampleStack => ({ ...(parts as ExampleStack), stop }) };
}

/** Starts an example with everything around it, without showing progress, e.g. for tests. Throws UnknownExample. */
export async function startExample(name: string, options: StackOptions = {}): Promise<ExampleStack> {
  return startWith(await loadExample(name), options);
}

/** The same with the booking sample, at a size of one's own. */
export async function startStack({
  bookings,
  ...options
}: StackOptions & { bookings?: number } = {}): Promise<Stack> {
  const { bookingOf, example } = await import('../../examples/booking/example.js');
  const stack = await startWith(bookings === undefined ? example : bookingOf(bookings), options);
  const running = stack.example as RunningBooking;
  return { ...stack, example: running, app: running.app, booking: running.booking };
}

async function startWith(example: Example, options: StackOptions): Promise<ExampleStack> {
  const { steps, stop, stack } = createStack(example, options);
  try {
    for (const { start } of steps) await start(() => undefined);
  } catch (error) {
    await stop();
    throw error;
  }
  return stack();
}

function freshFolder(): string {
  const parent = made(dataPath('stacks'));
  removeAbandoned(parent);
  const directory = mkdtempSync(join(parent, 'stack-'));
  markOwned(directory);
  // The unprivileged user that runs PostgreSQL must get through; what is private in it has modes of its own.
  chmodSync(directory, 0o755);
  return directory;
}

/** A run that needs a person keeps its disposable cluster; the end of the stack is the end of that too. */
async function dropScratchClusters(config: LoadedConfig): Promise<void> {
  const folder = join(config.directory, SCRATCH);
  const { dropScratch } = createScratchActivities({ config });
  for (const scratch of existsSync(folder) ? readdirSync(folder) : []) {
    await dropScratch({ scratch }).catch(() => undefined);
  }
}

function need<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the steps of the stack were started out of order');
  return part;
}

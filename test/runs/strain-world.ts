import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSwitches, type Switches } from '../../examples/booking/switches';
import { observeSchema, type ObserveConfig } from '../../src/config/measure-schema';
import { serve } from '../support/local-server';
import { quietTemporal } from '../support/quiet';
import { standIn } from '../support/stand-in';
import { configure, startDriver, type Driver, type Ended } from './harness';
import { startSampleApp, type SampleApp } from './sample-app';
import { runThroughKill } from './worker-process';

/** A sample application whose measures are what a test says, which may depend on what is really switched and deployed. */
export interface StrainWorld {
  driver: Driver;
  app: SampleApp;
  /** Field names of the answer by the names of the measures. */
  measure: (fields: Record<string, string>, more?: object) => ObserveConfig['measures'];
  numbers: (make: (now: Switches) => object | Promise<object>) => void;
  /** Says what a server of metrics at this address answers. */
  prometheus: (answer: object) => string;
  switches: () => Switches;
  /** Kills the worker while `command` of the application runs for the first time; `then` is what it really does. */
  killDuring: (
    runbook: string,
    command: { path: string; then: string; fields: Record<string, string> },
  ) => Promise<Ended & { attempts: number }>;
  stop: () => Promise<void>;
}

const WINDOW_SECONDS = 0.3;

/** `windowSeconds` is how far back the application itself looks. */
export async function startStrainWorld(
  postgres: Record<string, string> = {},
  windowSeconds?: number,
): Promise<StrainWorld> {
  const driver = await startDriver(400, true, {}, postgres);
  const { application } = driver.stack.config.services['booking']!.environments['production']!;
  // A busy machine is no application that fails.
  for (const check of application!.health) check.timeoutMs = 60_000;
  const app = await startSampleApp(driver, windowSeconds);
  const switches = () => readSwitches(app.directory);
  let make: Parameters<StrainWorld['numbers']>[0] = () => ({});
  let answer: object = {};
  const server = await serve((request, response) => {
    const body = request.url!.startsWith('/api/v1/') ? answer : make(switches());
    void Promise.resolve(body).then((said) => response.end(JSON.stringify(said)));
  });
  const given = (fields: Record<string, string>, more: object = {}) =>
    Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [
        name,
        { operation: { url: `${server.url}/`, field }, windowSeconds: WINDOW_SECONDS, ...more },
      ]),
    );
  return {
    driver,
    app,
    measure: (fields, more) => observeSchema.parse({ measures: given(fields, more) }).measures,
    numbers: (made) => (make = made),
    prometheus: (said) => {
      answer = said;
      return server.url;
    },
    switches,
    killDuring: async (runbook, { path, then, fields }) => {
      const once = 'echo x >> begun; test $(wc -l < begun) -gt 1 || exec sleep 500';
      configure(driver, {
        'environments.production.observe': { measures: given(fields) },
        'environments.production.application.soakSeconds': 0.5,
        [`environments.production.application.${path}`]: { run: ['sh', '-c', `${once}; ${then}`] },
      });
      await driver.stack.worker.stop();
      const begun = join(app.directory, 'begun');
      const ended = await runThroughKill(driver, runbook, () => existsSync(begun));
      return { ...ended, attempts: readFileSync(begun, 'utf8').trim().split('\n').length };
    },
    stop: async () => {
      await app.stop();
      await server.stop();
      await driver.stack.stop();
    },
  };
}

/** Such a world, from the first test of a file to its last. */
export function useStrainWorld(
  ...how: Parameters<typeof startStrainWorld>
): Pick<StrainWorld, 'driver' | 'app' | 'numbers' | 'switches'> & { world: StrainWorld } {
  quietTemporal();
  let world: StrainWorld | undefined;
  beforeAll(async () => {
    world = await startStrainWorld(...how);
  });
  afterAll(() => world?.stop());
  return {
    world: standIn(() => world!),
    driver: standIn(() => world!.driver),
    app: standIn(() => world!.app),
    numbers: (make) => world!.numbers(make),
    switches: () => world!.switches(),
  };
}

const sample = (value: string, metric = {}) => ({ metric, value: [Date.now() / 1_000, value] });
const vector = (...result: object[]) => ({ status: 'success', data: { resultType: 'vector', result } });

/** Answers of Prometheus that say nothing, and what is said of each. */
export const SILENT: [string, () => object | undefined, RegExp][] = [
  ['that is no number', () => vector(sample('NaN')), /Prometheus says NaN.*nothing happened at all/],
  ['without a series', () => vector(), /has no series for it/],
  ['of two series', () => vector(sample('3', { a: '1' }), sample('3', { a: '2' })), /2 series where one/],
  ['of a server that is down', () => undefined, /127\.0\.0\.1:1/],
];

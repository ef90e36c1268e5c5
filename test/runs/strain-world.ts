import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { parseDocument } from 'yaml';
import { readSwitches, type Switches } from '../../examples/booking/switches';
import { observeSchema, type ObserveConfig } from '../../src/config/measure-schema';
import { startDriver, type Driver, type Ended } from './harness';
import { startSampleApp, type SampleApp } from './sample-app';
import { killDuring, startWorkerProcess } from './worker-process';

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
    command: { path: string[]; then: string; fields: Record<string, string> },
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
  const server = createServer((request, response) => {
    const body = request.url!.startsWith('/api/v1/') ? answer : make(switches());
    void Promise.resolve(body).then((said) => response.end(JSON.stringify(said)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const given = (fields: Record<string, string>, more: object = {}) =>
    Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [
        name,
        { operation: { url: `${base}/`, field }, windowSeconds: WINDOW_SECONDS, ...more },
      ]),
    );
  return {
    driver,
    app,
    measure: (fields, more) => observeSchema.parse({ measures: given(fields, more) }).measures,
    numbers: (made) => (make = made),
    prometheus: (said) => {
      answer = said;
      return base;
    },
    switches,
    killDuring: async (runbook, { path, then, fields }) => {
      const document = parseDocument(readFileSync(driver.stack.configFile, 'utf8'));
      const production = ['services', 'booking', 'environments', 'production'];
      document.setIn([...production, 'observe'], { measures: given(fields) });
      document.setIn([...production, 'application', 'soakSeconds'], 0.5);
      const once = 'echo x >> begun; test $(wc -l < begun) -gt 1 || exec sleep 500';
      document.setIn([...production, 'application', ...path], { run: ['sh', '-c', `${once}; ${then}`] });
      writeFileSync(driver.stack.configFile, document.toString());
      await driver.stack.worker.stop();
      let worker = await startWorkerProcess(driver.stack.configFile);
      try {
        const handle = await driver.start(runbook);
        const begun = join(app.directory, 'begun');
        worker = await killDuring(worker, driver.stack.configFile, () => existsSync(begun));
        const ended = await driver.end(handle);
        return { ...ended, attempts: readFileSync(begun, 'utf8').trim().split('\n').length };
      } finally {
        await worker.stop();
      }
    },
    stop: async () => {
      await app.stop();
      server.closeAllConnections();
      server.close();
      await driver.stack.stop();
    },
  };
}

let alerts = 0;
/** As an alert of this moment. */
export const firing = () => ({
  source: 'prometheus',
  fingerprint: `strain-${(alerts += 1)}`,
  startsAt: new Date().toISOString(),
  status: 'firing',
  severity: 'warning',
  title: 'Something is wrong',
  labels: {},
  annotations: {},
  link: null,
});

export const resolved = (handle: WorkflowHandle) =>
  handle.signal('alert', { status: 'resolved', count: 1, at: new Date().toISOString() });

const sample = (value: string, metric = {}) => ({ metric, value: [Date.now() / 1_000, value] });
const vector = (...result: object[]) => ({ status: 'success', data: { resultType: 'vector', result } });

/** Answers of Prometheus that say nothing, and what is said of each. */
export const SILENT: [string, () => object | undefined, RegExp][] = [
  ['that is no number', () => vector(sample('NaN')), /Prometheus says NaN.*nothing happened at all/],
  ['without a series', () => vector(), /has no series for it/],
  ['of two series', () => vector(sample('3', { a: '1' }), sample('3', { a: '2' })), /2 series where one/],
  ['of a server that is down', () => undefined, /127\.0\.0\.1:1/],
];

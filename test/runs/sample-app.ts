import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startBookingApp, type BookingApp, type BookingAppOptions } from '../../examples/booking/app';
import { deployVersion, listDeployments, setUpDeployments } from '../../examples/shared/deployments';
import { DEFAULT_SWITCHES, setSwitches } from '../../examples/booking/switches';
import type { ObserveConfig } from '../../src/config/measure-schema';
import type { ApplicationConfig } from '../../src/config/operation-schema';
import type { ServiceConfig } from '../../src/config/schema';
import { quietTemporal } from '../support/quiet';
import { standIn } from '../support/stand-in';
import { startDriver, type Driver } from './harness';

/** The sample application of a driver, with a short memory, and everything that can be done to it. */
export interface SampleApp {
  url: string;
  directory: string;
  /** Some are looked at again and again. */
  options: BookingAppOptions;
  receiver: BookingApp['receiver'];
  service: ServiceConfig;
  application: ApplicationConfig;
  observe: ObserveConfig;
  /** ID of the deployment in front. */
  front: () => string;
  /** What a run must not change where it only looks. */
  state: () => string[];
  rate: () => Promise<number>;
  /** Deploys a version that fails, and waits until customers notice. */
  deployBad: () => Promise<void>;
  /** The same, so long ago that nobody thinks of it. */
  deployBadLongAgo: () => Promise<void>;
  /** Polls until the error rate is right. */
  untilRate: (isRight: (rate: number) => boolean) => Promise<void>;
  /** Two good deployments, every switch as it was, no errors. */
  reset: () => Promise<void>;
  stop: () => Promise<void>;
}

const PATIENT_MS = 60_000;
/** How often holds past their expiry are ended. */
export const EXPIRE_EVERY_SECONDS = 1;
const STATE = ['deployments.json', 'switches.json'];

/** Puts an application with a short window in the place of the stack's own. */
export async function startSampleApp({ stack }: Driver, windowSeconds = 2): Promise<SampleApp> {
  await stack.app.stop();
  const options: BookingAppOptions = {
    databaseUrl: stack.booking.urls.production.app,
    traffic: true,
    directory: stack.directory,
    windowSeconds,
    operationsToken: process.env['BOOKING_OPERATIONS_TOKEN'],
    cronSecret: process.env['BOOKING_CRON_SECRET'],
    paymentsKey: process.env['BOOKING_PAYMENTS_KEY'],
    expireEveryMs: EXPIRE_EVERY_SECONDS * 1_000,
    webhookBackoffMs: 20,
    webhookTimeoutMs: PATIENT_MS,
  };
  const app: BookingApp = await startBookingApp(options);
  process.env['BOOKING_APP_URL'] = app.url;
  const service = stack.config.services['booking'] as ServiceConfig;
  const application = service.environments['production']?.application as ApplicationConfig;
  const observe = service.environments['production']?.observe as ObserveConfig;
  for (const measure of Object.values(observe.measures)) measure.windowSeconds = windowSeconds;
  Object.assign(application.errorRate as object, { windowSeconds });
  Object.assign(application.crons['expire-bookings'] as object, {
    everySeconds: EXPIRE_EVERY_SECONDS,
    settleSeconds: 2,
  });
  Object.assign(application.rateLimits as object, { settleSeconds: windowSeconds });
  Object.assign(application, { soakSeconds: 0.5, soakEverySeconds: 0.2 });
  const usual = structuredClone({ service, application, observe });

  const read = async (): Promise<{ errorRate: number; requests: number }> => {
    const answer = await fetch(`${app.url}/api/metrics/error-rate`);
    return (await answer.json()) as { errorRate: number; requests: number };
  };
  const untilRate: SampleApp['untilRate'] = async (isRight) => {
    for (let tries = 0; tries < 2_400; tries += 1) {
      const { errorRate, requests } = await read();
      if (requests > 0 && isRight(errorRate)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the error rate never got there: ${JSON.stringify(await read())}`);
  };
  return {
    url: app.url,
    directory: stack.directory,
    options,
    receiver: app.receiver,
    service,
    application,
    observe,
    front: () => listDeployments(stack.directory).find(({ current }) => current)?.id ?? 'none',
    state: () => STATE.map((name) => readFileSync(join(stack.directory, name), 'utf8')),
    rate: async () => (await read()).errorRate,
    deployBad: async () => {
      deployVersion(stack.directory, '1.5.0');
      await untilRate((rate) => rate > 0.5);
    },
    deployBadLongAgo: async () => {
      deployVersion(stack.directory, '1.5.0');
      const file = join(stack.directory, 'deployments.json');
      const state = JSON.parse(readFileSync(file, 'utf8')) as { deployments: { createdAt: string }[] };
      state.deployments[0]!.createdAt = new Date(Date.now() - 10 * 3_600_000).toISOString();
      writeFileSync(file, JSON.stringify(state));
      await untilRate((rate) => rate > 0.5);
    },
    untilRate,
    reset: async () => {
      Object.assign(service, structuredClone(usual.service), { environments: service.environments });
      Object.assign(application, structuredClone(usual.application));
      Object.assign(observe, structuredClone(usual.observe));
      delete observe.prometheus;
      rmSync(join(stack.directory, 'deployments.json'), { force: true });
      setUpDeployments(stack.directory);
      setSwitches(stack.directory, DEFAULT_SWITCHES);
      options.webhookTimeoutMs = PATIENT_MS;
      await untilRate((rate) => rate === 0);
    },
    stop: () => app.stop(),
  };
}

/** A driver and its sample application, from the first test of a file or a group to its last. */
export function useSampleApp(start: () => Promise<Driver> = startDriver): { driver: Driver; app: SampleApp } {
  quietTemporal();
  let driver: Driver | undefined;
  let app: SampleApp | undefined;
  beforeAll(async () => {
    driver = await start();
    app = await startSampleApp(driver);
  });
  afterAll(async () => {
    await app?.stop();
    await driver?.stack.stop();
  });
  return { driver: standIn(() => driver!), app: standIn(() => app!) };
}

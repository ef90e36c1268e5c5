/** The sample's payments as a test wants them, with something in front of its provider that can keep answers back. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { readProviderState } from '../../examples/booking/payment-provider';
import { serve } from '../support/local-server';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { standIn } from '../support/stand-in';
import { configure, startDriver, type Driver } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

export const PAYMENT = 'reconcilePayment';

/** Such a world and its driver, from the first test of a file to its last. */
export function usePaymentsWorld() {
  quietTemporal();
  let driver: Driver | undefined;
  let world: Awaited<ReturnType<typeof startPaymentsWorld>> | undefined;
  beforeAll(async () => {
    driver = await startDriver(400, false);
    world = await startPaymentsWorld(driver);
  });
  afterEach(() => rmSync(world!.flag, { force: true }));
  afterAll(async () => {
    await world?.stop();
    await driver?.stack.stop();
  });
  return { driver: standIn(() => driver!), world: standIn(() => world!) };
}

async function startPaymentsWorld(driver: Driver) {
  const { stack, sql } = driver;
  /** The smoke test fails while this file is there. */
  const flag = join(stack.directory, 'fails');
  const told = {
    /** Answers of refunds that were kept back. */
    kept: 0,
    keepBack: false,
    /** Says that a refund is on its way, and sends none. */
    pretend: false,
  };
  const front = await serve((request, response) => {
    if (told.pretend) return void response.writeHead(200).end('{"status":"pending"}');
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      const { host: _host, 'content-length': _length, connection: _connection, ...headers } = request.headers;
      void fetch(`${stack.app.url}${request.url}`, {
        method: request.method ?? 'GET',
        headers: headers as Record<string, string>,
        ...(body === '' ? {} : { body }),
      }).then(async (answer) => {
        const text = await answer.text();
        if (told.keepBack && request.url?.endsWith('/refunds') === true) return void (told.kept += 1);
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
      });
    });
  });
  const stripe = 'environments.production.payments.providers.stripe';
  configure(driver, {
    'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${flag}`] },
    [`${stripe}.refund.url`]: `${front.url}/provider/v1/refunds`,
    [`${stripe}.settleSeconds`]: 1,
  });
  let worker: WorkerProcess = await startWorkerProcess(stack.configFile);

  const startAgain = async () => {
    worker = await startWorkerProcess(stack.configFile);
  };
  /** Takes that choice of what the run asks. */
  const decide = async (handle: WorkflowHandle, choice: 0 | 1) => {
    const { id, choices } = await driver.waiting(handle, 'decision');
    await driver.answer(handle, 'decide', { question: id, choice: choices![choice]!, by: 'ben' });
  };
  const provider = () => readProviderState(stack.directory);
  const cell = async <T extends string>(column: T, payment: string) =>
    (await sql<Record<T, string>>(`SELECT ${column} FROM payments WHERE id = '${payment}'`))[0]![column];
  const rowsOf = (table: string, where: string) =>
    sql(`SELECT t.xmin::text, t.*::text FROM ${table} t WHERE ${where} ORDER BY 2`);
  /** The booking, its slot and its links to the version of each row: no payment may touch them. */
  const untouchable = async (booking: string) => [
    await rowsOf('bookings', `id = '${booking}'`),
    await rowsOf('slots', `id = (SELECT slot_id FROM bookings WHERE id = '${booking}')`),
    await rowsOf('action_tokens', `booking_id = '${booking}'`),
  ];
  const paymentsOf = (booking: string) =>
    sql(`SELECT p.*::text FROM payments p WHERE booking_id = '${booking}' ORDER BY id`);
  return {
    flag,
    told,
    stripe,
    owner: stack.booking.environment['BOOKING_PRODUCTION_URL']!,
    directory: stack.directory,
    provider,
    decide,
    /** A person decides for the refund; its answer is lost, and the worker is killed before it can ask again. */
    refundUnheard: async (input: object, meanwhile?: () => Promise<unknown>) => {
      const before = told.kept;
      told.keepBack = true;
      const handle = await driver.start(PAYMENT, { ...input });
      await decide(handle, 0);
      await until(() => told.kept > before);
      await worker.kill();
      told.keepBack = false;
      await meanwhile?.();
      await startAgain();
      return driver.end(handle);
    },
    kill: () => worker.kill(),
    startAgain,
    untouchable,
    paymentsOf,
    allOf: async (booking: string) => [await paymentsOf(booking), await untouchable(booking)],
    stateOf: (payment: string) => cell('status', payment),
    refOf: (payment: string) => cell('provider_ref', payment),
    auditOf: async (payment: string) =>
      (
        await sql<{ action: string }>(
          `SELECT action FROM audit_logs WHERE entity_type = 'payment' AND entity_id = '${payment}'
             AND action IN ('payment_reconciled', 'payment_refunded', 'payment_restored') ORDER BY id`,
        )
      ).map(({ action }) => action),
    messagesOf: (booking: string) =>
      Object.values(provider().messages).filter((one) => one.booking === booking),
    refundsOf: (ref: string) => Object.values(provider().refunds).filter(({ intent }) => intent === ref),
    stop: async () => {
      await worker.stop();
      await front.stop();
    },
  };
}

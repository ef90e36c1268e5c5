import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ReceiverMood } from '../../examples/shared/receiver-moods';
import { failDeliveries } from '../../examples/booking/spoil';
import { setSwitches } from '../../examples/booking/switches';
import type { WebhooksConfig } from '../../src/activities/delivery/settings';
import { createAuthority } from '../support/certificates';
import { configure, titles } from './harness';
import { useSampleApp } from './sample-app';
import { startWorkerProcess } from './worker-process';

const { driver, app } = useSampleApp();
let webhooks: WebhooksConfig;
let usual: WebhooksConfig;
let servers: Server[];

beforeAll(() => {
  const { production } = app.service.environments as Record<string, { webhooks?: WebhooksConfig }>;
  webhooks = production!.webhooks!;
  Object.assign(webhooks, { roundEverySeconds: 0.1 });
  usual = structuredClone(webhooks);
});
beforeEach(async () => {
  servers = [];
  await driver.sql('DELETE FROM webhook_deliveries');
  await app.reset();
  await receiverIs('well');
  Object.assign(webhooks, structuredClone(usual));
});
afterEach(() => servers.forEach((server) => (server.closeAllConnections(), server.close())));

interface Row {
  id: string;
  status: string;
  attempts: number;
}
const rows = () =>
  driver.sql<Row>('SELECT id::text, status, attempts FROM webhook_deliveries ORDER BY webhook_deliveries.id');
const failed = (count: number) => failDeliveries(driver.stack.booking.urls.production.migrator, count);
const receivedOf = (ids: string[]) =>
  app.receiver.received().filter(({ delivery }) => ids.includes(delivery));
const listen = async (server: Server): Promise<string> => {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};
/** The application follows its switches after a moment. */
const receiverIs = async (webhookReceiver: ReceiverMood): Promise<void> => {
  setSwitches(app.directory, { webhookReceiver });
  for (let tries = 0; tries < 4_000; tries += 1) {
    const { mood } = (await (await fetch(app.receiver.url)).json()) as { mood: string };
    if (mood === webhookReceiver) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('the receiver never changed');
};
const toldOf = (text: RegExp) => driver.stack.inbox.received().filter((one) => text.test(one.text));

it('nothing is sent where nothing has failed, whatever waits', async () => {
  const [id] = await failed(1);
  await driver.sql(`UPDATE webhook_deliveries SET attempts = 0, last_error = NULL WHERE id = ${id!}`);
  expect(await driver.run('replayWebhookDeliveries')).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: 'no delivery of booking/production has failed: 0 failed, 1 not tried yet',
  });
  expect(await rows()).toEqual([{ id, status: 'pending', attempts: 0 }]);
});

it('failed ones are sent again round by round, each of two with one payload too, and once only', async () => {
  const ids = await failed(45);
  await driver.sql(
    `UPDATE webhook_deliveries SET (booking_id, payload) =
       (SELECT booking_id, payload FROM webhook_deliveries ORDER BY id LIMIT 1)`,
  );
  const { outcome, message, report } = await driver.run('replayWebhookDeliveries');
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    '45 deliveries of booking/production are over: 45 taken, 0 given up',
  ]);
  expect(await rows()).toEqual(ids.map((id) => ({ id, status: 'succeeded', attempts: 2 })));
  expect(
    receivedOf(ids)
      .map(({ delivery }) => delivery)
      .sort(),
  ).toEqual([...ids].sort());
  expect(report.facts).toMatchObject({
    failedBefore: 45,
    taken: 45,
    givenUp: 0,
    attemptsMade: 45,
    backlogAfter: 0,
  });
  expect(titles(report)).toEqual(
    expect.arrayContaining(['Round 3 of 10', 'Smoke test of booking/production']),
  );
  expect(titles(report)).not.toContain('Round 4 of 10');
  // The token went along, and stayed here.
  expect(JSON.stringify(report)).not.toContain(process.env['BOOKING_OPERATIONS_TOKEN']);
});

it('observe and a denied or expired approval send nothing; what nobody will notice is said', async () => {
  await failed(3);
  for (const name of ['delivery', 'probe', 'maxAttempts'] as const) delete webhooks[name];
  const before = JSON.stringify(await driver.sql('SELECT * FROM webhook_deliveries ORDER BY id'));
  const sent = app.receiver.received().length;
  const observed = await driver.run('replayWebhookDeliveries', { mode: 'observe' });
  expect([observed.outcome, observed.report.plan?.actions]).toEqual([
    'OBSERVED',
    [
      {
        action: 'send failed webhooks again',
        target: 'booking/production/application',
        count: 3,
        detail: '10 rounds at most, to hooks.provider-1.example.com (3 deliveries)',
      },
    ],
  ]);
  expect(observed.report.plan?.warnings.map((text) => /^webhooks\.(\w+) is not/.exec(text)?.[1])).toEqual(
    expect.arrayContaining(['delivery', 'probe', 'maxAttempts']),
  );
  const denied = await driver.start('replayWebhookDeliveries', { mode: 'propose' });
  await driver.answer(denied, 'reject', { plan: (await driver.waiting(denied, 'approval')).id, by: 'ben' });
  expect((await driver.end(denied)).outcome).toBe('REJECTED');
  app.service.approval.expiresAfterMinutes = 0.02;
  expect((await driver.run('replayWebhookDeliveries', { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(JSON.stringify(await driver.sql('SELECT * FROM webhook_deliveries ORDER BY id'))).toBe(before);
  expect(app.receiver.received()).toHaveLength(sent);
});

it('what somebody else has sent during the approval is not sent again', async () => {
  await failed(2);
  const handle = await driver.start('replayWebhookDeliveries', { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.sql(`UPDATE webhook_deliveries SET status = 'succeeded', delivered_at = now()`);
  await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('NOTHING_TO_DO');
});

describe('what still fails is a task for a person, who mends it, and the run goes on', () => {
  const mood = (wanted: ReceiverMood) => async () => {
    await receiverIs(wanted);
    if (wanted === 'slow') app.options.webhookTimeoutMs = 300;
  };
  const at = (url: string) =>
    driver.sql(
      `UPDATE webhook_endpoints SET url = '${url}' WHERE id = (SELECT min(id) FROM webhook_endpoints)`,
    );

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'secret',
      mood('rotated'),
      /HTTP 401\): the receiver does not accept .* takes the header x-booking-signature/,
    ],
    ['receiver', mood('broken'), /HTTP 503\): the receiver is in trouble/],
    ['busy', mood('busy'), /HTTP 429\): the receiver wants fewer requests/],
    ['away', mood('slow'), /timeout after 300 ms\): nobody answers in time/],
    ['dns', () => at('https://hooks.nowhere.invalid/x'), /its host name is not known/],
    [
      'tls',
      async () => {
        const { key, certificate: cert } = createAuthority(app.directory).sign('127.0.0.1');
        await at(`https://${await listen(createHttps({ key, cert }, (_, answer) => void answer.end()))}/x`);
      },
      /its certificate is not accepted/,
    ],
    ['address', async () => at(`https://hooks.provider-1.example.com`), /nothing takes it there/],
  ])('%s', async (cause, spoil, task) => {
    const [was] = await driver.sql<{ url: string }>('SELECT url FROM webhook_endpoints ORDER BY id LIMIT 1');
    const ids = await failed(2);
    await spoil();
    const handle = await driver.start('replayWebhookDeliveries');
    const { id, question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(task);
    expect(question).toMatch(/^2 deliveries of booking\/production still fail\./);
    // Each round uses up an attempt: not all of them for one fault.
    for (const { attempts } of await rows()) expect(attempts).toBeLessThanOrEqual(3);
    await receiverIs('well');
    app.options.webhookTimeoutMs = 60_000;
    await at(was!.url);
    await driver.answer(handle, 'done', { task: id, by: 'ben' });
    const { outcome, report } = await driver.agree(handle);
    expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', expect.stringContaining(`: ${cause}`)]);
    expect((await rows()).map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'));
  });
});

it('what is given up for good ends the run too, and people hear of it', async () => {
  await failed(2);
  await receiverIs('gone');
  const { outcome, message } = await driver.run('replayWebhookDeliveries');
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    '2 deliveries of booking/production are over: 0 taken, 2 given up',
  ]);
  expect(toldOf(/2 deliveries were given up \(HTTP 410\).*hooks\.provider-1\.example\.com/)).not.toEqual([]);
});

it('rounds that answer 200 and send nothing are found out, and people are called', async () => {
  const before = await failed(2).then(rows);
  let asked = 0;
  const url = await listen(
    createHttp((_, answer) => {
      asked += 1;
      answer.end('{"processed":2,"succeeded":2}');
    }),
  );
  webhooks.run.url = `http://${url}/run`;
  const { outcome, message } = await driver.run('replayWebhookDeliveries');
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(
      /3 rounds answered well and sent none of 2 deliveries; the backlog went from 2 to 2/,
    ),
  ]);
  expect(asked).toBe(3);
  expect(await rows()).toEqual(before);
  expect(toldOf(/3 rounds answered well and sent none/)[0]).toMatchObject({
    kind: 'page',
    channel: 'on-call',
  });
});

it('a backlog that grows faster than rounds drain it ends after a bounded number of rounds, and is said', async () => {
  await failed(20);
  let asked = 0;
  const url = await listen(
    createHttp((_, answer) => {
      asked += 1;
      void failed(5)
        .then(() =>
          driver.sql(`UPDATE webhook_deliveries SET status = 'succeeded', delivered_at = now(), attempts = 2
            WHERE id = (SELECT min(id) FROM webhook_deliveries WHERE status = 'pending')`),
        )
        .then(() => answer.end('{"processed":1,"succeeded":1}'));
    }),
  );
  Object.assign(webhooks, { maxRounds: 4 });
  webhooks.run.url = `http://${url}/run`;
  const { outcome, message, report } = await driver.run('replayWebhookDeliveries');
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(
      /4 rounds of 4 were not enough for 16 deliveries; the backlog grows, from 20 to 36: deliveries come faster/,
    ),
  ]);
  expect([asked, report.facts['backlogAfter']]).toEqual([4, 36]);
});

it('attempts beyond the bound of the application are a fault of it', async () => {
  await failed(1);
  webhooks.maxAttempts = 1;
  await receiverIs('gone');
  const { outcome, message } = await driver.run('replayWebhookDeliveries');
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(/1 delivery had more than 1 attempts, e\.g\. \d+ with 2/),
  ]);
});

// Last: the worker of this process goes.
it('a worker that is killed while a round is under way: the next one goes on, and nothing is sent twice', async () => {
  const ids = await failed(3);
  // The round is over there, and its answer never comes.
  let rounds = 0;
  const url = await listen(
    createHttp((_, answer) => {
      void fetch(`${app.url}/v0/webhooks/deliveries/run`, {
        method: 'POST',
        headers: { authorization: `Bearer ${process.env['BOOKING_OPERATIONS_TOKEN']!}` },
      }).then(async (real) => {
        const text = await real.text();
        rounds += 1;
        if (rounds > 1) answer.end(text);
      });
    }),
  );
  configure(driver, {
    'environments.production.webhooks.roundEverySeconds': 0.1,
    'environments.production.webhooks.run.url': `http://${url}/run`,
  });
  await driver.stack.worker.stop();
  let worker = await startWorkerProcess(driver.stack.configFile);
  try {
    const handle = await driver.start('replayWebhookDeliveries');
    for (let tries = 0; rounds === 0; tries += 1) {
      if (tries > 4_000) throw new Error('no round was ever begun');
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await worker.kill();
    worker = await startWorkerProcess(driver.stack.configFile);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
    expect(rounds).toBe(2);
    expect(receivedOf(ids)).toHaveLength(3);
    expect(await rows()).toEqual(ids.map((id) => ({ id, status: 'succeeded', attempts: 2 })));
  } finally {
    await worker.stop();
  }
});

import { OTHER_NAMES } from '../../simulators/payment-app';
import {
  failureOf,
  runActivity,
  startActivity,
  startTestPostgres,
  until,
  type TestPostgres,
} from '../../support/postgres';
import { freshStripeWorld, prepareServer, type StripeWorld } from './stripe-world';

let pg: TestPostgres;
const worlds: StripeWorld[] = [];
beforeAll(async () => {
  pg = await startTestPostgres();
  await prepareServer(pg);
});
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.stop()));
});
afterAll(() => pg?.stop());

async function fresh(sql = '', options: Parameters<typeof freshStripeWorld>[1] = {}): Promise<StripeWorld> {
  const world = await freshStripeWorld(pg, options);
  worlds.push(world);
  if (sql !== '') await world.app.sql(sql);
  return world;
}
const LOG = 'INSERT INTO webhook_events (event_id, payload_hash, status, last_error) VALUES';
const find = ({ act, db }: StripeWorld) => runActivity(act.findFailedPaymentWebhooks, db.place);
const replay = async (world: StripeWorld, ids?: string[], token = 1) => {
  const events = (ids ?? (await find(world)).failed.map(({ id }) => id)).map((id) => ({
    id,
    event: `evt_${id}`,
  }));
  return runActivity(world.act.replayWebhookEvents, {
    ...world.db.place,
    events,
    fence: { ...world.repair.fence, token },
  });
};
const entries = async ({ app }: StripeWorld) =>
  (await app.sql<{ event_id: string }>('SELECT event_id FROM ledger_entries ORDER BY 1')).map(
    ({ event_id }) => event_id,
  );

it('finds failed events with their errors; of one payload or one ID only the first, and none that was applied', async () => {
  const world = await fresh(
    `${LOG} ('evt_1', 'a', 'failed', 'bad secret'), ('evt_2', 'b', 'failed', NULL), ('evt_3', 'b', 'failed', NULL),
            ('evt_4', 'c', 'processed', NULL), ('evt_5', 'c', 'failed', 'twice'), ('evt_1', 'd', 'failed', NULL), ('evt_6', 'e', 'received', NULL);
     INSERT INTO ledger_entries (event_id) VALUES ('evt_4')`,
  );
  const look = await find(world);
  expect(look.failed).toEqual([
    { id: '1', event: 'evt_1', kind: 'payment.succeeded', error: 'bad secret' },
    { id: '2', event: 'evt_2', kind: 'payment.succeeded', error: null },
  ]);
  expect(look.twins).toEqual([
    { id: '3', event: 'evt_3', of: '2', applied: false },
    { id: '5', event: 'evt_5', of: '4', applied: true },
    { id: '6', event: 'evt_1', of: '1', applied: false },
  ]);
  expect([look.unconfigured, look.others, look.allTwins]).toEqual([[], 0, 3]);
  expect(world.app.state.replays).toEqual([]);
});

it('finds what is to be replayed behind any number of rows that are not', async () => {
  const world = await fresh(
    `${LOG} ('evt_1', 'a', 'processed', NULL);
     INSERT INTO webhook_events (event_id, payload_hash, status) SELECT 'evt_1', 'a', 'failed' FROM generate_series(1, 2500);
     ${LOG} ('evt_2', 'b', 'failed', NULL);
     INSERT INTO webhook_events (event_id, payload_hash, status) SELECT 'evt_b' || n, 'b' || n, 'failed' FROM generate_series(1, 2300) n`,
  );
  const look = await find(world);
  expect([look.failed[0]?.event, look.failed.length, look.others]).toEqual(['evt_2', 200, 2_101]);
  expect([look.twins.length, look.allTwins]).toEqual([50, 2_500]);
});

it('passes by a row whose event another row has applied since the plan was made', async () => {
  const world = await fresh(`${LOG} ('evt_1', 'a', 'failed', NULL), ('evt_2', 'b', 'failed', NULL)`);
  // Sent by the provider again, under another ID.
  await world.app.sql(`${LOG} ('evt_again', 'a', 'processed', NULL)`);
  expect(await replay(world, ['1', '2'])).toMatchObject({ asked: ['2'], passed: ['1'] });
  const followed = runActivity(world.act.followPaymentWebhooks, { ...world.db.place, ids: ['1', '2'] });
  expect(await followed).toEqual({ applied: ['2'], failed: [], superseded: ['1'], open: [] });
});

it('looks at ledger and payouts: missing, too many, overdue', async () => {
  const world = await fresh(
    `${LOG} ('evt_1', 'a', 'processed', NULL), ('evt_2', 'b', 'processed', NULL), ('evt_3', 'c', 'processed', NULL);
     INSERT INTO webhook_events (event_id, type, status) VALUES ('evt_4', 'payment.created', 'processed');
     INSERT INTO ledger_entries (event_id) VALUES ('evt_2'), ('evt_3'), ('evt_3');
     INSERT INTO payout_jobs (status, run_at) VALUES ('pending', now() - interval '1 h'), ('done', now() - interval '1 h'), ('pending', now() - interval '1 min')`,
  );
  const aftermath = {
    ledger: { missing: 1, tooMany: 1, named: ['evt_1 (0 of 1)', 'evt_3 (2 of 1)'] },
    payouts: { overdue: 1, named: ['1'] },
  };
  expect((await find(world)).aftermath).toEqual(aftermath);
  const only = (events: string[]) =>
    runActivity(world.act.readPaymentAftermath, { ...world.db.place, events });
  expect((await only(['evt_2'])).ledger).toEqual({ missing: 0, tooMany: 0, named: [] });
  expect((await only(['evt_3'])).ledger).toMatchObject({ tooMany: 1 });
});

it('has each applied once, passes by what was applied meanwhile, and tells what is refused', async () => {
  const world = await fresh(
    `${LOG} ('evt_1', 'a', 'failed', NULL), ('evt_2', 'b', 'failed', NULL), ('evt_3', 'c', 'failed', NULL)`,
  );
  world.app.state.poison.add('2');
  expect(await replay(world)).toEqual({
    asked: ['1', '3'],
    passed: [],
    refused: [{ id: '2', why: expect.stringContaining('replay event evt_2 of shop/production') }],
  });
  expect(await replay(world, ['1', '2', '3'])).toMatchObject({ asked: [], passed: ['1', '3'] });
  expect(world.app.state.replays).toEqual(['1', '2', '3', '2']);
  expect(await entries(world)).toEqual(['evt_1', 'evt_3']);
  const followed = await runActivity(world.act.followPaymentWebhooks, {
    ...world.db.place,
    ids: ['1', '2', '9'],
  });
  expect(followed).toEqual({
    applied: ['1'],
    failed: [expect.objectContaining({ id: '2', error: 'the handler fell over' })],
    superseded: [],
    open: ['9'],
  });
});

it('stops where one after the other is refused, and refuses an older lease', async () => {
  const world = await fresh(
    `${LOG} ${[1, 2, 3, 4, 5].map((n) => `('evt_${n}', '${n}', 'failed', NULL)`).join()}`,
  );
  world.app.state.broken = true;
  expect((await replay(world, undefined, 7)).refused.map(({ id }) => id)).toEqual(['1', '2', '3']);
  expect(await failureOf(replay(world, ['1'], 6))).toMatchObject({ type: 'StaleFencingToken' });
  expect(world.app.state.replays).toEqual(['1', '2', '3']);
});

it('an attempt that is made again while one is at work applies nothing twice', async () => {
  const world = await fresh(`${LOG} ('evt_1', 'a', 'failed', NULL)`);
  world.app.state.slowMs = 1_500;
  const input = { ...world.db.place, events: [{ id: '1', event: 'evt_1' }], fence: world.repair.fence };
  const first = startActivity(world.act.replayWebhookEvents, input, { attempt: 1 });
  await until(() => Promise.resolve(world.app.state.replays.length === 1));
  const second = await runActivity(world.act.replayWebhookEvents, input, { attempt: 2 });
  await first.result.catch(() => undefined);
  expect(second.asked.length + second.passed.length).toBe(1);
  await until(async () => (await entries(world)).length > 0);
  expect(await entries(world)).toEqual(['evt_1']);
});

it('tries secret and handler with a plain signature, and works for an application that calls everything otherwise', async () => {
  const world = await fresh('', { names: OTHER_NAMES });
  const check = () => runActivity(world.act.checkPaymentReceiver, world.db.place);
  expect(await check()).toMatchObject({ takes: true });
  world.app.state.plainSecret = 'another-signing-secret';
  expect(await check()).toMatchObject({ takes: false, detail: expect.stringContaining('signing secret') });
  await world.app.sql(`INSERT INTO incoming_hooks (event_id) VALUES ('evt_1')`);
  expect(await replay(world)).toMatchObject({ asked: ['1'] });
  expect(await world.app.sql('SELECT event_id FROM journal')).toEqual([{ event_id: 'evt_1' }]);
});

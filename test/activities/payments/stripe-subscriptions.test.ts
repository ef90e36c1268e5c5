import type { Drift } from '../../../src/activities/payments/stripe/subscriptions';
import { failureOf, runActivity, startTestPostgres, type TestPostgres } from '../../support/postgres';
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

const END = 1_800_000_000;
const END_TEXT = '2027-01-15T08:00:00.000Z';

/** Row 1 agrees, row 2 says another state, row 3 another customer and end; 4 is unknown to Stripe, and `sub_new` to us. */
async function spoilt(options: Parameters<typeof freshStripeWorld>[1] = {}): Promise<StripeWorld> {
  const world = await freshStripeWorld(pg, options);
  worlds.push(world);
  for (const n of [1, 2, 3]) world.stripe.subscribe(`sub_${n}`, 'active', END);
  world.stripe.subscribe('sub_new', 'trialing', END);
  world.stripe.subscribe('sub_over', 'canceled', END);
  await world.app.sql(
    `INSERT INTO subscriptions (stripe_subscription_id, status, customer_ref, period_end) VALUES
       ('sub_1', 'active', 'cus_sub_1', to_timestamp(${END})), ('sub_2', 'past_due', 'cus_sub_2', to_timestamp(${END})),
       ('sub_3', 'active', 'cus_old', to_timestamp(${END} - 86400)), ('sub_gone', 'active', 'c', now()), (NULL, 'free', NULL, NULL)`,
  );
  return world;
}
const compare = ({ act, db }: StripeWorld) => runActivity(act.compareSubscriptions, db.place);
const correct = async (
  world: StripeWorld,
  { drifts, attempt = 1 }: { drifts?: Drift[]; attempt?: number } = {},
) =>
  runActivity(
    world.act.correctSubscriptions,
    { ...world.repair, drifts: drifts ?? (await compare(world)).drifts },
    { attempt },
  );
const undo = ({ act, repair }: StripeWorld) =>
  runActivity(act.undoSubscriptionCorrection, repair, { activityId: '9' });
const rows = ({ app }: StripeWorld) => app.sql('SELECT s.*::text FROM subscriptions s ORDER BY id');
const states = async ({ app }: StripeWorld) =>
  (await app.sql<{ status: string }>('SELECT status FROM subscriptions ORDER BY id')).map(
    ({ status }) => status,
  );

it('finds rows that differ from Stripe, over all pages, and those that only one side knows', async () => {
  const world = await spoilt();
  world.stripe.state.pageSize = 2;
  const before = await rows(world);
  const look = await compare(world);
  expect(look.drifts).toEqual([
    {
      id: '2',
      version: expect.any(String),
      reference: 'sub_2',
      changes: { status: { from: 'past_due', to: 'active' } },
    },
    {
      id: '3',
      version: expect.any(String),
      reference: 'sub_3',
      changes: {
        customer: { from: 'cus_old', to: 'cus_sub_3' },
        periodEnd: { from: '2027-01-14T08:00:00.000Z', to: END_TEXT },
      },
    },
  ]);
  expect(look.findings).toEqual([
    'subscription 4: known to the application, and not to Stripe',
    'subscription sub_new: known to Stripe, and not to the application',
  ]);
  // The one that Stripe does not know could not be compared.
  expect([look.compared, look.tooMany]).toEqual([3, false]);
  expect(await rows(world)).toEqual(before);
});

it('corrects exactly those, once, with an audit row each; the way back is exact', async () => {
  const world = await spoilt();
  const before = await rows(world);
  const { drifts } = await compare(world);
  expect(await correct(world, { drifts })).toEqual({ done: 2, left: [] });
  expect(await correct(world, { drifts, attempt: 2 })).toEqual({ done: 2, left: [] });
  expect((await compare(world)).drifts).toEqual([]);
  expect(await world.app.sql('SELECT entity_id, action, details FROM payment_audit ORDER BY id')).toEqual([
    {
      entity_id: '2',
      action: 'subscription_corrected',
      details: { stripe: 'sub_2', status: 'past_due -> active', run: 'run-1' },
    },
    expect.objectContaining({ entity_id: '3' }),
  ]);
  // Stripe was only read.
  expect(world.stripe.state.requests.every(({ method }) => method === 'GET')).toBe(true);
  expect(await undo(world)).toEqual({ done: 2, left: [] });
  expect(await rows(world)).toEqual(before);
});

it('leaves alone what somebody changed since, here or at Stripe, and says so', async () => {
  const world = await spoilt();
  const { drifts } = await compare(world);
  // One is cancelled by its customer, the other edited by support.
  world.stripe.subscribe('sub_2', 'canceled', END);
  await world.app.sql(`UPDATE subscriptions SET plan = 'gold' WHERE id = 3`);
  expect(await correct(world, { drifts })).toEqual({
    done: 0,
    left: [
      { unit: 'subscription 2', why: 'Stripe says something else of it by now' },
      { unit: 'subscription 3', why: 'it was changed since it was looked at' },
    ],
  });
  expect(await states(world)).toEqual(['active', 'past_due', 'active', 'active', 'free']);
});

it('puts nothing back over what somebody changed afterwards', async () => {
  const world = await spoilt();
  await correct(world);
  await world.app.sql(`UPDATE subscriptions SET status = 'paused' WHERE id = 2`);
  expect(await undo(world)).toMatchObject({ done: 1, left: [{ unit: 'subscription 2' }] });
  expect((await states(world))[1]).toBe('paused');
});

it('speaks the words of the application, and warns of one that no row has', async () => {
  const world = await spoilt({
    service: { words: { active: 'RUNNING', past_due: 'LATE', canceled: 'OVER' } },
  });
  await world.app.sql(
    `UPDATE subscriptions SET status = 'RUNNING' WHERE id IN (1, 3); UPDATE subscriptions SET status = 'LATE' WHERE id = 2`,
  );
  expect((await compare(world)).drifts[0]?.changes).toEqual({ status: { from: 'LATE', to: 'RUNNING' } });
  expect((await compare(world)).warnings).toEqual([]);
  world.stripe.subscribe('sub_2', 'unpaid', END);
  expect((await compare(world)).warnings).toContainEqual(expect.stringContaining('is "unpaid"'));
});

it('corrects none where more differ than a run may touch, none that is there twice, and refuses a role that can write more', async () => {
  const few = await spoilt({ maxDestructive: 1 });
  expect(await compare(few)).toMatchObject({ drifts: [], tooMany: true });
  expect((await compare(few)).findings).toContainEqual(
    expect.stringContaining('2 subscriptions differ, more than maxDestructive'),
  );
  const world = await spoilt();
  await world.app.sql(
    `INSERT INTO subscriptions (stripe_subscription_id, status) VALUES ('sub_2', 'active')`,
  );
  const { drifts, findings } = await compare(world);
  expect(drifts.map(({ id }) => id)).toEqual(['3']);
  expect(findings[0]).toMatch(/^subscription sub_2: in more than one row/);
  expect(await failureOf(correct(world, { drifts: [] }))).toMatchObject({ type: 'EmptySelection' });
  await world.app.sql('GRANT UPDATE ON ledger_entries TO runbooks_stripe');
  expect(await failureOf(runActivity(world.act.findMissingStripeEvents, world.db.place))).toMatchObject({
    type: 'RepairRoleInvalid',
    message: expect.stringContaining('can also write public.ledger_entries'),
  });
});

it('cannot write what its role may not, whatever the mapping says', async () => {
  const world = await spoilt();
  await world.app.sql('REVOKE UPDATE (status) ON subscriptions FROM runbooks_stripe');
  expect(await failureOf(correct(world))).toMatchObject({
    message: expect.stringContaining('permission denied'),
  });
  expect((await states(world))[1]).toBe('past_due');
});

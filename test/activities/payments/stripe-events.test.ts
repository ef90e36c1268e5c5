import { OTHER_NAMES } from '../../simulators/payment-app';
import { STRIPE_KEY } from '../../../examples/simulators/stripe';
import { failureOf, runActivity, startTestPostgres, until, type TestPostgres } from '../../support/postgres';
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

async function fresh(options: Parameters<typeof freshStripeWorld>[1] = {}): Promise<StripeWorld> {
  const world = await freshStripeWorld(pg, options);
  worlds.push(world);
  return world;
}
const find = ({ act, db }: StripeWorld, events: string[] = []) =>
  runActivity(act.findMissingStripeEvents, { ...db.place, events });
const resend = ({ act, repair }: StripeWorld, events: string[], { round = 1, attempt = 1, token = 1 } = {}) =>
  runActivity(
    act.resendStripeEvents,
    { ...repair, fence: { ...repair.fence, token }, events, round },
    { attempt },
  );
const follow = ({ act, db }: StripeWorld, events: string[]) =>
  runActivity(act.followStripeEvents, { ...db.place, events });
const effects = async ({ app }: StripeWorld) =>
  (await app.sql<{ event: string }>('SELECT event FROM effects ORDER BY event')).map(({ event }) => event);

it('finds, over all pages, what the application lacks, oldest first; what it has, others want, or is young is not missing', async () => {
  const world = await fresh({ environment: { maxEvents: 4 } });
  const { stripe, app } = world;
  stripe.state.pageSize = 2;
  stripe.endpoint.enabled_events = ['invoice.paid', 'charge.failed'];
  for (const n of [1, 2, 3, 4, 5]) stripe.add(`evt_${n}`, 'invoice.paid', { ageSeconds: 10_000 - n });
  stripe.add('evt_has');
  await app.sql(`INSERT INTO stripe_events VALUES ('evt_has', 'invoice.paid')`);
  stripe.add('evt_other', 'customer.created');
  stripe.add('evt_young', 'invoice.paid', { ageSeconds: 1 });
  stripe.add('evt_old', 'invoice.paid', { ageSeconds: 31 * 86_400 });
  stripe.delivered.add(stripe.add('evt_fine'));
  const look = await find(world, ['evt_old', 'evt_fine']);
  expect(look).toMatchObject({
    endpoint: { id: 'we_shop', enabled: true, host: new URL(app.url).host },
    others: 2,
    recorded: 1,
    elsewhere: 1,
    young: 1,
    lost: ['evt_old'],
    doubled: [],
    more: false,
    unconfigured: [],
  });
  expect(look.missing.map(({ id }) => id)).toEqual(['evt_1', 'evt_2', 'evt_3', 'evt_4']);
  expect(stripe.state.requests.filter(({ path }) => path === '/v1/events').length).toBeGreaterThan(3);
  // It only looked.
  expect(stripe.state.requests.every(({ method }) => method === 'GET')).toBe(true);
});

it('asks only for the types that are configured, and lists failed payments by key and code', async () => {
  const world = await fresh({ environment: { types: ['charge.failed'] } });
  world.stripe.add('evt_1', 'invoice.paid');
  world.stripe.add('evt_2', 'charge.failed', { object: { id: 'ch_1', failure_code: 'card_declined' } });
  expect((await find(world)).missing.map(({ id }) => id)).toEqual(['evt_2']);
  expect(await runActivity(world.act.readFailedPayments, world.db.place)).toEqual({
    count: 1,
    more: false,
    named: ['ch_1 (card_declined)'],
  });
});

it('sends what is missing, once, and never what is recorded', async () => {
  const world = await fresh();
  const { stripe, app } = world;
  const [applied, missing] = [stripe.add('evt_applied'), stripe.add('evt_missing')];
  app.state.answersLate = true;
  stripe.deliver(applied);
  await stripe.settled();
  app.state.answersLate = false;
  // Stripe calls it undelivered, and it was applied.
  expect((await find(world)).recorded).toBe(1);
  expect(await resend(world, [applied, missing])).toEqual({
    sent: [missing],
    recorded: [applied],
    lost: [],
    refused: [],
  });
  await stripe.settled();
  expect(app.state.received).toEqual([applied, missing]);
  expect(await effects(world)).toEqual([applied, missing]);
  expect(await follow(world, [applied, missing])).toEqual({
    arrived: [applied, missing],
    doubled: [],
    missing: [],
  });
  // An event that is on its way is not doubled by an attempt whose answer was lost.
  const late = stripe.add('evt_late');
  stripe.state.hold = true;
  stripe.state.loseAnswerAfter = 1;
  expect(await failureOf(resend(world, [late]))).toMatchObject({ type: 'HttpFailed', nonRetryable: false });
  expect(await resend(world, [late], { attempt: 2 })).toMatchObject({ sent: [late] });
  expect(stripe.heldBack()).toBe(1);
  stripe.release();
  await until(async () => (await effects(world)).includes(late));
  expect(app.state.received.filter((id) => id === late)).toHaveLength(1);
  // Another round is another send.
  const { stripe: simulator } = world;
  app.state.forgets = true;
  const never = simulator.add('evt_never');
  await resend(world, [never], { attempt: 3 });
  await resend(world, [never], { round: 2, attempt: 4 });
  await simulator.settled();
  expect(app.state.received.filter((id) => id === never)).toHaveLength(2);
});

it('takes a refusal for an answer, and asks no further after three in a row', async () => {
  const world = await fresh();
  const events = [1, 2, 3, 4, 5].map((n) => world.stripe.add(`evt_${n}`));
  world.stripe.state.readsOnly = true;
  const { sent, refused } = await resend(world, events);
  expect([sent, refused.map(({ id }) => id)]).toEqual([[], events.slice(0, 3)]);
  expect(refused[0]?.why).toContain('refuses access (403)');
  // No answer is none, and is tried again.
  Object.assign(world.stripe.state, { readsOnly: false, trouble: 'error' });
  expect(await failureOf(resend(world, events))).toMatchObject({ type: 'HttpFailed', nonRetryable: false });
});

it('says so where Stripe lists more than it reads', async () => {
  const world = await fresh();
  for (let n = 0; n < 5_001; n += 1) world.stripe.add(`evt_${n}`, 'invoice.paid', { ageSeconds: 600 + n });
  expect((await find(world)).more).toBe(true);
});

it('says which events Stripe has no more, and refuses an older lease before anything is sent', async () => {
  const world = await fresh();
  const old = world.stripe.add('evt_old', 'invoice.paid', { ageSeconds: 31 * 86_400 });
  expect(await resend(world, [old], { token: 5 })).toMatchObject({ sent: [], recorded: [], lost: [old] });
  const event = world.stripe.add('evt_1');
  expect(await failureOf(resend(world, [event], { token: 4 }))).toMatchObject({ type: 'StaleFencingToken' });
  expect(world.stripe.resent()).toEqual([old]);
});

it('refuses a key or an event of the other mode, and an endpoint that nobody knows', async () => {
  const live = await fresh({ environment: { livemode: true } });
  expect(await failureOf(find(live))).toMatchObject({
    type: 'ModeMismatch',
    nonRetryable: true,
    message: expect.stringContaining('the key belongs to the test mode of Stripe'),
  });
  expect(live.stripe.state.requests).toEqual([]);
  const world = await fresh();
  world.stripe.add('evt_live', 'invoice.paid', { livemode: true });
  expect(await failureOf(find(world))).toMatchObject({
    type: 'ModeMismatch',
    message: expect.stringContaining('evt_live belongs to the live mode'),
  });
  const lost = await fresh({ environment: { endpoint: 'we_lost' } });
  expect(await failureOf(find(lost))).toMatchObject({
    type: 'InvalidInput',
    message: expect.stringContaining('no webhook endpoint we_lost'),
  });
});

it.each([
  [
    'rate',
    {
      nonRetryable: false,
      nextRetryDelay: 1_000,
      message: expect.stringContaining('wants fewer requests (429)'),
    },
  ],
  ['error', { nonRetryable: false, message: expect.stringContaining('is in trouble') }],
  ['hangup', { nonRetryable: false, message: expect.stringContaining('no answer from 127.0.0.1') }],
  ['html', { nonRetryable: true, message: expect.stringContaining('a web page instead of JSON') }],
] as const)('says what is wrong where Stripe is in trouble: %s', async (trouble, wanted) => {
  const world = await fresh();
  world.stripe.state.trouble = trouble;
  expect(await failureOf(find(world))).toMatchObject({ type: 'HttpFailed', ...wanted });
});

it('names no secret where the key is refused or missing', async () => {
  const world = await fresh({ environment: { key: 'sk_test_of_somebody_else' } });
  const refused = await failureOf(find(world));
  expect(refused).toMatchObject({ type: 'HttpFailed', nonRetryable: true });
  expect(refused.message).toMatch(/does not accept the credentials \(401\)/);
  expect(refused.message).not.toMatch(/sk_test/);
  const unset = await fresh({ environment: { key: '${env:NOBODY_SET_THIS}' } });
  expect(await failureOf(find(unset))).toMatchObject({ type: 'InvalidInput' });
  expect(JSON.stringify(await find(await fresh()))).not.toContain(STRIPE_KEY);
});

it('finds out by endpoint and signed test event whether events are taken', async () => {
  const world = await fresh();
  const { app, stripe } = world;
  const check = () => runActivity(world.act.checkStripeReceiver, world.db.place);
  expect(await check()).toMatchObject({ takes: true });
  app.state.secret = 'whsec_another';
  const refused = await check();
  expect(refused).toMatchObject({ takes: false, detail: expect.stringContaining('signing secret') });
  expect(refused.detail).not.toContain('whsec_');
  app.state.secret = 'whsec_simulated_secret';
  app.state.broken = true;
  expect(await check()).toMatchObject({ takes: false, detail: expect.stringContaining('The handler fails') });
  stripe.endpoint.status = 'disabled';
  expect(await check()).toMatchObject({
    takes: false,
    detail: expect.stringContaining('switched endpoint we_shop off'),
  });
  expect(await app.sql('SELECT FROM stripe_events')).toEqual([]);
  const silent = await fresh({ environment: { probe: undefined } });
  expect(await runActivity(silent.act.checkStripeReceiver, silent.db.place)).toMatchObject({ takes: null });
  expect((await find(silent)).unconfigured).toContainEqual(
    expect.stringContaining('stripe.probe is not configured'),
  );
});

it('works for an application that calls everything otherwise', async () => {
  const world = await fresh({ names: OTHER_NAMES });
  const event = world.stripe.add('evt_1');
  expect((await find(world)).missing.map(({ id }) => id)).toEqual([event]);
  await resend(world, [event]);
  await until(async () => (await follow(world, [event])).arrived.length === 1);
});

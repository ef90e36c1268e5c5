import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAdjustmentActivities } from '../../../src/activities/application/adjustments';
import { createBlockedActivities } from '../../../src/activities/application/blocked';
import { createFeatureActivities } from '../../../src/activities/application/features';
import { createRateLimitActivities } from '../../../src/activities/application/rate-limits';
import { createRemedyActivities } from '../../../src/activities/application/remedies';
import { applicationSchema, deploymentsSchema } from '../../../src/config/operation-schema';
import { serve } from '../../support/local-server';
import { failureOf, runActivity, startTestPostgres, type FreshOptions } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';

let answer = '{}';
const pg = duringTests(startTestPostgres);
const server = duringTests(() => serve((_, response) => response.end(answer)));

const fence = (token: number) => ({ target: 'shop/production/application', token });

/** An application whose commands write down what they were told. */
async function start(options: FreshOptions & { application?: Record<string, unknown> } = {}) {
  const db = await pg.fresh(options);
  const script = (name: string) => ({
    run: ['sh', '-c', `echo "${name} $RUNBOOKS_FENCING_TOKEN" >> done; echo ok`],
  });
  const { shop } = db.deps.config.services;
  shop!.environments['production']!.application = applicationSchema.parse({
    features: [{ name: 'reminders', disable: script('off'), enable: script('on') }],
    raiseRateLimits: { raise: script('raise'), restore: script('restore'), minutes: 5 },
    rateLimitStatus: { url: server.url, max: 0.1 },
    ...options.application,
  });
  const done = join(db.directory, 'done');
  return {
    ...createAdjustmentActivities(db.deps),
    ...createFeatureActivities(db.deps),
    ...createRateLimitActivities(db.deps),
    ...createBlockedActivities(db.deps),
    ...createRemedyActivities(db.deps),
    db,
    place: db.place,
    shop: shop!,
    told: () => (existsSync(done) ? readFileSync(done, 'utf8').trim().split('\n') : []),
  };
}

describe('a feature', () => {
  it('is switched off and on by its commands, under the fence', async () => {
    const { switchFeature, place, told } = await start();
    const to = (position: 'off' | 'on', token: number) =>
      runActivity(switchFeature, { ...place, feature: 'reminders', to: position, fence: fence(token) });
    expect(await to('off', 7)).toMatchObject({ ran: true, detail: 'ok' });
    await to('on', 7);
    expect(await failureOf(to('off', 6))).toMatchObject({ type: 'StaleFencingToken' });
    expect(told()).toEqual(['off 7', 'on 7']);
  });

  it('is switched also while a restore has closed the database to writers', async () => {
    const { switchFeature, place, told, db } = await start();
    await db.query(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`);
    const off = { ...place, feature: 'reminders', to: 'off' as const, fence: fence(7) };
    expect(await runActivity(switchFeature, off)).toMatchObject({ ran: true });
    expect(told()).toEqual(['off 7']);
  });

  it('that nobody configured is refused with those that are', async () => {
    const { switchFeature, place } = await start();
    const failure = await failureOf(
      runActivity(switchFeature, { ...place, feature: 'x', to: 'off' as const, fence: fence(1) }),
    );
    expect(failure).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringMatching(/"x"\. Known: reminders/) as string,
    });
  });
});

describe('rate limits', () => {
  it('are raised and restored by their commands, under the fence', async () => {
    const { raiseRateLimits, restoreRateLimits, place, told } = await start();
    await runActivity(raiseRateLimits, { ...place, fence: fence(7) });
    expect(await failureOf(runActivity(raiseRateLimits, { ...place, fence: fence(6) }))).toMatchObject({
      type: 'StaleFencingToken',
    });
    await runActivity(restoreRateLimits, { ...place, fence: fence(7) });
    expect(told()).toEqual(['raise 7', 'restore 7']);
  });

  it.each([
    ['{"refusedShare":0.2}', { refusedShare: 0.2, tooMany: true }],
    ['{"refusedShare":0.1}', { refusedShare: 0.1, tooMany: false }],
    ['{"refused":3}', { refusedShare: null, tooMany: false, detail: 'answered 200, without a share' }],
    ['no JSON', { refusedShare: null, tooMany: false }],
  ])('that say %s', async (body, expected) => {
    answer = body;
    const { readRateLimits, place } = await start();
    expect(await runActivity(readRateLimits, place)).toMatchObject(expected);
  });
});

describe('whom the limits refuse', () => {
  const exempt = (name: string) => ({
    command: { run: ['sh', '-c', `echo "${name} $WHO $RUNBOOKS_FENCING_TOKEN" >> done`] },
  });
  const limited = () =>
    start({
      application: {
        rateLimitStatus: { url: server.url, limit: 'limit' },
        rateLimits: {
          blocked: { url: server.url, item: { known: 'customer' } },
          trusted: ['203.0.113.0/24', '2001:db8::7'],
          exceptions: { 'allow-list': { set: exempt('set'), unset: exempt('unset') } },
          store: { command: { run: ['echo', '12'] }, max: 10 },
        },
      },
    });

  it('is told by rank, and of whom it was asked about whatever the rank', async () => {
    const many = Array.from({ length: 30 }, (_, rank) => ({
      who: `198.51.100.${rank}`,
      refused: 100 - rank,
    }));
    const blocked = [
      ...many,
      { who: '203.0.113.5', refused: 200, customer: true },
      { who: '2001:db8::7', refused: 1 },
      { who: 'idle', refused: 0 },
    ];
    answer = JSON.stringify({ refusedShare: 0.5, limit: 20, blocked });
    const { readLimits, place } = await limited();
    const facts = await runActivity(readLimits, { ...place, about: ['2001:db8::7'] });
    expect(facts.blocked).toHaveLength(21);
    expect(facts.blocked[0]).toEqual({ who: '203.0.113.5', refused: 200, trusted: true, known: true });
    expect(facts.blocked.at(-1)).toEqual({ who: '2001:db8::7', refused: 1, trusted: true, known: null });
    expect(facts).toMatchObject({
      limit: '20',
      store: { keys: 12, tooMany: true },
      storeDetail: '12 keys; 10 at most',
      unconfigured: [],
      blockedDetail: expect.stringMatching(
        /^203\.0\.113\.5 \(200 refused, trusted\), .* and 27 more$/,
      ) as string,
    });
  });

  it('is nobody else where a name is too long, and no address with a zone is trusted', async () => {
    const blocked = ['u'.repeat(200), '2001:db8::7%eth0'].map((who) => ({ who, refused: 1 }));
    answer = JSON.stringify({ refusedShare: 0.5, blocked });
    const { readLimits, setException, place } = await limited();
    const facts = await runActivity(readLimits, place);
    expect(facts.blocked.map(({ trusted }) => trusted)).toEqual([false, false]);
    for (const { who } of facts.blocked)
      expect(
        await failureOf(
          runActivity(setException, { ...place, exception: 'allow-list', who, until: '', fence: fence(7) }),
        ),
      ).toMatchObject({ type: 'InvalidInput' });
  });

  it('is not told where nothing is configured for that, and that is said', async () => {
    answer = '{"refusedShare":0.5}';
    const { readLimits, place } = await start();
    const facts = await runActivity(readLimits, place);
    expect(facts).toMatchObject({
      blocked: [],
      blockedDetail: 'not looked at: none is configured',
      store: null,
    });
    expect(facts.unconfigured.map((text) => text.split(' ')[0])).toEqual([
      'application.rateLimitStatus.limit',
      'application.rateLimits.blocked',
      'application.rateLimits.exceptions',
      'application.rateLimits.store',
    ]);
  });

  it('are exempted one by one, under the fence', async () => {
    const { setException, unsetException, place, told } = await limited();
    const one = { ...place, exception: 'allow-list', who: '198.51.100.1', until: '2026-11-22T12:00:00Z' };
    await runActivity(setException, { ...one, fence: fence(7) });
    expect(await failureOf(runActivity(setException, { ...one, fence: fence(6) }))).toMatchObject({
      type: 'StaleFencingToken',
    });
    for (const who of ['0.0.0.0/0', '--all', '*', ''])
      expect(await failureOf(runActivity(setException, { ...one, who, fence: fence(7) }))).toMatchObject({
        type: 'InvalidInput',
      });
    await runActivity(unsetException, { ...one, fence: fence(7) });
    expect(told()).toEqual(['set 198.51.100.1 7', 'unset 198.51.100.1 7']);
  });
});

describe('what may be done', () => {
  it('is what the configuration says', async () => {
    const run = { run: ['true'] };
    const { readRemedies, place, shop } = await start({
      application: { restart: run, scaleUp: { apply: run, restore: run } },
    });
    shop.deployments = deploymentsSchema.parse({
      list: { run: ['true'] },
      promote: { run: ['true'] },
      suspectMinutes: 30,
    });
    expect(await runActivity(readRemedies, place)).toEqual({
      restart: true,
      features: ['reminders'],
      adjustments: ['scaleUp'],
      blindAdjustments: ['scaleUp'],
      raiseLimitsMs: 300_000,
      suspectMs: 1_800_000,
      maxUtilisation: 0.8,
    });
  });

  it('is next to nothing where there is no application', async () => {
    const { readRemedies, place, shop } = await start();
    delete shop.environments['production']!.application;
    expect(await runActivity(readRemedies, place)).toMatchObject({
      restart: false,
      features: [],
      adjustments: [],
      raiseLimitsMs: null,
      suspectMs: null,
    });
  });
});

describe('more room', () => {
  it('is given and taken back by its commands, under the fence', async () => {
    const say = (what: string) => ({ run: ['sh', '-c', `echo "${what} $RUNBOOKS_FENCING_TOKEN" >> done`] });
    const { adjustApplication, place, told } = await start({
      application: { scaleUp: { apply: say('up'), restore: say('down') } },
    });
    const scale = (to: 'apply' | 'restore', token: number) =>
      runActivity(adjustApplication, { ...place, adjustment: 'scaleUp', to, fence: fence(token) });
    expect(await scale('apply', 7)).toMatchObject({ ran: true });
    await scale('restore', 7);
    expect(await failureOf(scale('apply', 6))).toMatchObject({ type: 'StaleFencingToken' });
    expect(told()).toEqual(['up 7', 'down 7']);
  });

  it('that is there already is said to be', async () => {
    const { adjustApplication, place } = await start({
      application: {
        scaleUp: {
          apply: { run: ['sh', '-c', 'echo 8 > size'] },
          restore: { run: ['sh', '-c', 'echo 3 > size'] },
          current: { run: ['sh', '-c', 'cat size 2> /dev/null || echo 3'] },
        },
      },
    });
    const input = { ...place, adjustment: 'scaleUp', to: 'apply', fence: fence(7) } as const;
    expect(await runActivity(adjustApplication, input)).toMatchObject({ ran: true, already: false });
    expect(await runActivity(adjustApplication, input)).toMatchObject({ ran: true, already: true });
  });

  it('that nobody configured is not given, and that is said', async () => {
    const { adjustApplication, place } = await start();
    const input = { ...place, adjustment: 'raiseCacheTtl', to: 'apply', fence: fence(1) } as const;
    expect(await runActivity(adjustApplication, input)).toMatchObject({
      ran: false,
      detail: 'no raiseCacheTtl configured',
    });
  });
});

import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import {
  deployment,
  failing,
  GONE,
  ILL,
  LIVE,
  partsOf,
  stopDisasters,
  WELL,
  withDisaster,
  type DisasterWorld,
  type PartEnd,
} from './world';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopDisasters();
  await env?.teardown();
});

/** Its database is gone, and so it does not serve. */
const lose = (world: DisasterWorld, ends: Partial<Record<string, PartEnd>> = {}) => {
  [world.live, world.symptoms] = [() => GONE, () => ILL];
  world.play = ({ runbook, input }) => {
    const end = ends[String(input['recoveryPoint'])] ??
      ends[runbook] ?? { outcome: 'SUCCEEDED', summary: 'done' };
    const isRestored = runbook === 'restoreDatabase' && end.outcome === 'SUCCEEDED';
    if (isRestored) [world.live, world.symptoms] = [() => LIVE, () => WELL];
    return end;
  };
};
const OPENED = ['respondToIncident', 'P0'];

describe('the database', () => {
  it('is restored from the newest that was proven where the newest cannot be, and that is said', () =>
    withDisaster(env, async ({ world, run }) => {
      lose(world, { b2: { outcome: 'ROLLED_BACK', summary: 'b2 is damaged' } });
      const { outcome, summary, facts } = await run();
      expect(partsOf(world)).toEqual([OPENED, ['restoreDatabase', 'b2'], ['restoreDatabase', 'b1']]);
      // A bad deployment must not have the data taken away again.
      expect(world.parts[2]!.input).toMatchObject({
        judgeHealth: false,
        environment: 'production',
        mode: 'auto',
      });
      expect([outcome, summary]).toEqual([
        'SUCCEEDED',
        expect.stringMatching(
          /with the data of 2026-01-01 00:00:00 UTC.*to be known: b2 could not be restored: ROLLED_BACK: b2 is damaged/,
        ),
      ]);
      expect(facts['restoredFrom']).toMatch(/^b1, /);
    }));

  it.each<[string, PartEnd, string]>([
    ['a person is needed', { outcome: 'NEEDS_HUMAN', summary: 'half way' }, 'NEEDS_HUMAN'],
    ['somebody said no', { outcome: 'REJECTED', summary: 'not now' }, 'REJECTED'],
    [
      'somebody said no, and something stays',
      { outcome: 'PARTIAL', summary: 'a copy', instead: 'REJECTED' },
      'REJECTED',
    ],
    ['it was cancelled', { outcome: 'CANCELLED', summary: 'cancelled' }, 'REJECTED'],
    ['something of it stays', { outcome: 'PARTIAL', summary: 'half' }, 'NEEDS_HUMAN'],
  ])('is left to people where %s, and no other backup is tried over it', (_, end, wanted) =>
    withDisaster(env, async ({ world, run }) => {
      lose(world, { b2: end });
      const { outcome, summary } = await run();
      expect(partsOf(world)).toEqual([OPENED, ['restoreDatabase', 'b2']]);
      expect([outcome, summary]).toEqual([
        wanted,
        expect.stringMatching(
          /not recovered: the database: \S+restoreDatabase-1 ended as .*; the application: not tried, because nothing can tell/,
        ),
      ]);
    }),
  );

  it('is not recovered where the proven one fails as well, and clients are not told that it is', () =>
    withDisaster(env, async ({ world, run }) => {
      lose(world, { restoreDatabase: { outcome: 'FAILED', summary: 'no disk' } });
      const { outcome, summary } = await run();
      expect(partsOf(world).slice(1)).toEqual([
        ['restoreDatabase', 'b2'],
        ['restoreDatabase', 'b1'],
      ]);
      expect([outcome, summary]).toEqual([
        'NEEDS_HUMAN',
        expect.stringMatching(/restoreDatabase-2 ended as FAILED: no disk/),
      ]);
      expect(world.told).toEqual([expect.stringMatching(/is down since/)]);
    }));

  it('is for the provider where nobody knows of a backup', () =>
    withDisaster(env, async ({ world, run }) => {
      lose(world);
      world.backups = failing('a disk is away');
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual([
        'NEEDS_HUMAN',
        expect.stringMatching(/which backups there are is not known \(a disk is away\)\. Ask the provider/),
      ]);
    }));

  it('is verified on the server where it is now', () =>
    withDisaster(env, async ({ world, run }) => {
      lose(world);
      world.live = () => ({ ...GONE, registered: false, systemIdentifier: '8' });
      expect((await run()).outcome).toBe('SUCCEEDED');
      expect(world.invariantsOf).toEqual([expect.objectContaining({ systemIdentifier: '8' })]);
    }));
});

describe('the application', () => {
  const alone = (world: DisasterWorld) => {
    world.symptoms = () => ILL;
    world.play = ({ runbook }) => {
      if (runbook === 'rollBackDeployment') world.symptoms = () => WELL;
      return { outcome: 'SUCCEEDED', summary: '1.1 is in front again' };
    };
  };

  it('goes back from what is in front now to exactly the one of the plan', () =>
    withDisaster(env, async ({ world, run }) => {
      alone(world);
      expect((await run()).outcome).toBe('SUCCEEDED');
      expect(world.parts[1]).toMatchObject({ input: { from: 'dep-2', deployment: 'dep-1' } });
    }));

  it.each<[string, (world: DisasterWorld) => void, Record<string, unknown>]>([
    ['there is nothing to go back to', (world) => (world.deployments = [deployment('dep-2', 2, true)]), {}],
    ['nothing is in front', (world) => (world.deployments = [deployment('dep-1', 1)]), {}],
    ['it is not production', () => undefined, { environment: 'staging' }],
  ])('is for a person where %s, and goes on when it serves', (_, change, input) =>
    withDisaster(env, async ({ world, start, task, finish }) => {
      alone(world);
      change(world);
      const handle = await start(input);
      expect((await task(handle)).question).toMatch(/does not serve: .*None can be rolled back to .*by hand/);
      expect(partsOf(world)).toEqual([OPENED]);
      world.symptoms = () => WELL;
      expect(await finish(handle)).toMatchObject({
        outcome: 'SUCCEEDED',
        summary: expect.stringMatching(/recovered: the application, deployed by hand/),
      });
    }),
  );

  it('is not said to serve where its rollback found nothing to do, and it does not', () =>
    withDisaster(env, async ({ world, run }) => {
      world.symptoms = () => ILL;
      world.play = () => ({ outcome: 'NOTHING_TO_DO', summary: 'the symptom is gone' });
      expect(await run()).toMatchObject({
        outcome: 'NEEDS_HUMAN',
        summary: expect.stringMatching(/not recovered: the application: .*error rate 90\.00 %/),
      });
    }));

  it('is not said to serve where nobody can ask it', () =>
    withDisaster(env, async ({ world, run }) => {
      lose(world);
      world.symptoms = failing('no secret');
      world.play = () => ({ outcome: 'SUCCEEDED', summary: 'done' });
      expect(await run()).toMatchObject({
        outcome: 'NEEDS_HUMAN',
        summary: expect.stringMatching(
          /recovered: the database.*not recovered: the application: whether it serves is not known: no secret/,
        ),
      });
    }));

  it('serves as a person has said where nothing measures it', () =>
    withDisaster(env, async ({ world, start, task, done, finish }) => {
      lose(world);
      const unmeasured = { ...WELL, rate: null, checks: 0 };
      world.symptoms = () => unmeasured;
      world.play = () => ({ outcome: 'SUCCEEDED', summary: 'done' });
      const handle = await start();
      const { id, question } = await task(handle);
      expect(question).toMatch(/^Nothing tells whether the application of booking\/production serves/);
      await done(handle, id);
      expect((await finish(handle)).summary).toMatch(/the application, which serves as a person has said/);
    }));
});

describe('the whole', () => {
  it.each<[string, (world: DisasterWorld) => void, RegExp]>([
    [
      'a key flow fails',
      (world) => (world.smoke = failing('quote answered 500')),
      /not recovered: critical flows: quote answered 500/,
    ],
    [
      'an invariant is broken',
      (world) => (world.invariants = [{ name: 'sold twice', ok: false, violations: 2, sample: '7' }]),
      /not recovered: the data: .*sold twice: 2 violations.*recoverFromCorruption or a person/,
    ],
  ])('is not recovered where %s', (_, change, why) =>
    withDisaster(env, async ({ world, run }) => {
      lose(world);
      change(world);
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual(['NEEDS_HUMAN', expect.stringMatching(why)]);
      expect(world.told.filter((text) => /works again/.test(text))).toEqual([]);
    }),
  );

  it('is recovered where others are not well, which is to be known, with whom to call', () =>
    withDisaster(env, async ({ world, run }) => {
      lose(world);
      world.others = [
        { name: 'mail', state: 'unhealthy', detail: 'is down', contact: '+41 1' },
        { name: 'maps', state: 'unknown', detail: 'says nothing' },
        { name: 'pay', state: 'healthy', detail: 'is well' },
      ];
      world.webhooks = () => ({ failed: 3, waiting: 0 });
      const { outcome, summary } = await run();
      expect([outcome, summary]).toEqual([
        'SUCCEEDED',
        expect.stringMatching(
          /to be known: mail is down; its support: \+41 1; maps says nothing; 3 webhooks failed: replayWebhookDeliveries sends them again$/,
        ),
      ]);
    }));

  it('is a part of the incident that started it, and opens no other', () =>
    withDisaster(env, async ({ world, start, finish }) => {
      lose(world);
      const incident = 'respondToIncident/recovery-desk/checkout';
      const { outcome, timeline } = await finish(await start({}, `${incident}/recoverFromDisaster-1`));
      expect(outcome).toBe('SUCCEEDED');
      expect(partsOf(world)).toEqual([['restoreDatabase', 'b2']]);
      expect(timeline).toContainEqual(
        expect.objectContaining({ title: 'This run is part of an incident', detail: incident }),
      );
    }));

  it.each(['2999-01-01T00:00:00Z', 'yesterday'])(
    'has no outage that began at %s, as an alert says',
    (startsAt) =>
      withDisaster(env, async ({ world, run }) => {
        lose(world);
        const alert = {
          source: 't',
          fingerprint: 'f',
          startsAt,
          status: 'firing',
          severity: 'critical',
          title: 't',
          labels: {},
          annotations: {},
          link: null,
        };
        const { outcome, facts } = await run({ alert });
        expect(outcome).toBe('SUCCEEDED');
        expect(Number(facts['rtoSeconds'])).toBeGreaterThanOrEqual(0);
        expect(Number(facts['rtoSeconds'])).toBeLessThan(3_600);
      }),
  );
});

describe('the environment variables', () => {
  it('are a task until they are set, also where they cannot be read for a while', () =>
    withDisaster(env, async ({ world, start, task, done, finish }) => {
      world.variables = () => ({ configured: true, required: 2, missing: ['KEY'] });
      const handle = await start();
      const { id, question } = await task(handle);
      expect(question).toMatch(/lacks environment variables: KEY\. Set them/);
      world.variables = failing('`list` failed');
      await done(handle, id);
      expect((await task(handle, id)).question).toMatch(/^Still not right \(`list` failed\), round 2: /);
      world.variables = () => ({ configured: true, required: 2, missing: [] });
      expect(await finish(handle)).toMatchObject({
        outcome: 'SUCCEEDED',
        summary: expect.stringMatching(/what was missing is there\. recovered: environment variables: KEY/),
      });
    }));

  it('that nobody can read, or names, are to be known', () =>
    withDisaster(env, async ({ world, run }) => {
      lose(world);
      world.variables = failing('`list` failed');
      expect((await run()).summary).toMatch(
        /to be known: the environment variables could not be read: `list` failed/,
      );
      lose(world);
      world.variables = () => ({ configured: false, required: 0, missing: [] });
      expect((await run()).summary).toMatch(/to be known: the environment variables were not looked at/);
    }));
});

import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { quietTemporal } from '../../../support/quiet';
import { createTimeSkippingEnvironment } from '../../../support/time-skipping';
import {
  detailOf,
  front,
  made,
  NEW,
  putInFront,
  refuse,
  stopDeployments,
  withDeployments,
  type DeploymentWorld,
} from './world';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createTimeSkippingEnvironment();
});
afterAll(async () => {
  await stopDeployments();
  await env?.teardown();
});

const warned = async (change: (world: DeploymentWorld) => unknown): Promise<string[]> => {
  let warnings: string[] = [];
  await withDeployments(env, async ({ world, deploy }) => {
    change(world);
    warnings = (await deploy()).plan!.warnings;
  });
  return warnings;
};

describe('a deployment', () => {
  it('goes beside, is tried there, in front, and is tried again before and after it was watched', () =>
    withDeployments(env, async ({ world, deploy }) => {
      expect((await deploy()).outcome).toBe('SUCCEEDED');
      expect(world.log).toEqual([
        ...['deploy', 'smoke http://new', 'promote new from old', 'smoke production', 'smoke production'],
      ]);
    }));

  it('is refused where nothing is in front, because there would be no way back', () =>
    withDeployments(env, async ({ world, deploy }) => {
      putInFront(world, null);
      const { outcome, summary } = await deploy();
      expect([outcome, summary]).toEqual([
        'FAILED',
        expect.stringMatching(/names none that is in front.*no way back/),
      ]);
      expect(world.log).toEqual([]);
    }));

  it('that its own tool puts in front at once is taken back before anybody tries it there', () =>
    withDeployments(env, async ({ world, deploy }) => {
      world.deploys = () => putInFront(world, NEW.id);
      const { outcome, summary } = await deploy();
      expect([outcome, summary]).toEqual([
        'ROLLED_BACK',
        expect.stringMatching(/2\.0\.0 has no traffic yet: in front: 2\.0\.0/),
      ]);
      expect(world.log).toEqual(['deploy', 'promote old from new', 'retire new']);
      expect(front(world)).toBe('old');
    }));

  it('that has no address, though others have, is not put in front untried', () =>
    withDeployments(env, async ({ world, deploy }) => {
      world.deploys = () => {
        world.all = world.all.map(({ url, ...one }) =>
          one.id === NEW.id ? one : { ...one, ...(url === undefined ? {} : { url }) },
        );
      };
      const { outcome, summary } = await deploy();
      expect([outcome, summary]).toEqual([
        'ROLLED_BACK',
        expect.stringMatching(/prints no "url" for new, so it cannot be tried/),
      ]);
      expect(world.log).toEqual(['deploy', 'retire new']);
    }));

  it('where no list says addresses is put in front untried, as the plan has warned', () =>
    withDeployments(env, async ({ world, deploy }) => {
      world.all = world.all.map(({ url, ...one }) => (void url, one));
      world.deploys = () => (world.all = world.all.map(({ url, ...one }) => (void url, one)));
      const report = await deploy();
      expect(report.outcome).toBe('SUCCEEDED');
      expect(report.plan!.warnings).toContainEqual(
        expect.stringMatching(/nothing tries the new one before customers/),
      );
      expect(detailOf(report, 'Smoke test of 2.0.0 before it is in front')).toBe(
        'not run: the list of deployments prints no "url"',
      );
    }));

  it('is watched once it is in front, and taken back with its errors', () =>
    withDeployments(env, async ({ world, deploy }) => {
      world.rate = (one) => (one?.id === NEW.id ? 0.5 : 0);
      expect((await deploy()).outcome).toBe('ROLLED_BACK');
      expect(world.log.slice(-2)).toEqual(['promote old from new', 'retire new']);
    }));

  it('is taken back where a key flow breaks in the course of being watched', () =>
    withDeployments(env, async ({ world, deploy }) => {
      world.smoke = () => {
        if (world.log.filter((line) => line === 'smoke production').length === 2)
          refuse('quote answered 500');
      };
      expect(await deploy()).toMatchObject({
        outcome: 'ROLLED_BACK',
        summary: expect.stringContaining('quote answered 500'),
      });
      expect(front(world)).toBe('old');
    }));

  it('that fails leaves alone what somebody else has put in front meanwhile', () =>
    withDeployments(env, async ({ world, deploy }) => {
      world.promotes = () => {
        world.all = [made('hotfix', 3, { version: '2.0.1', commit: 'c'.repeat(40) }), ...world.all];
        putInFront(world, 'hotfix');
        refuse('somebody else deployed');
      };
      const report = await deploy();
      expect(detailOf(report, 'Left alone')).toMatch(
        /^2\.0\.1 .* in front .* which this run did not put there$/,
      );
      expect(front(world)).toBe('hotfix');
      expect(world.log.filter((line) => line.startsWith('promote'))).toHaveLength(1);
    }));

  it.each<[string, (world: DeploymentWorld) => unknown, string, RegExp]>([
    [
      'still being built',
      (world) => building(world),
      '2.0.0 is still being built',
      /nothing ends that; without traffic/,
    ],
    ['not to be taken away', (world) => (world.retires = false), '2.0.0 stays beside', /without traffic$/],
  ])('that fails, and is %s, stays, and that is said', (_, change, title, detail) =>
    withDeployments(env, async ({ world, deploy }) => {
      world.deploys = () => refuse('no answer');
      change(world);
      const report = await deploy();
      expect(detailOf(report, title)).toMatch(detail);
      expect(world.log).toEqual(['deploy']);
    }),
  );

  function building(world: DeploymentWorld): void {
    world.deploys = () => {
      world.all = world.all.map((one) => (one.id === NEW.id ? { ...one, state: 'building' } : one));
      refuse('not ready after 600 s');
    };
  }

  it('goes to staging first where there is one, and not further where a smoke test fails there', () =>
    withDeployments(env, async ({ world, deploy }) => {
      world.staging = 'staging';
      world.smoke = () => refuse('quote answered 500');
      const { outcome } = await deploy();
      expect([outcome, world.log]).toEqual(['PARTIAL', ['staging', 'smoke staging']]);
    }));

  it.each<[string, (world: DeploymentWorld) => unknown, string | RegExp]>([
    [
      'the application is unwell already',
      (world) => (world.rate = (one) => (one?.id === NEW.id ? 0 : 0.2)),
      'the application is unwell already, before anything was done',
    ],
    [
      'nobody looks at it',
      (world) => (world.missing = ['changelog']),
      'not configured, so nobody looked at: changelog',
    ],
    ['it takes commits away', (world) => (world.commits.forward = false), /lacks commits that 1\.0\.0 has/],
    [
      'nobody knows whether it does',
      (world) => (world.commits.forward = null),
      /every commit of 1\.0\.0 is not known$/,
    ],
    [
      'nobody knows its commits',
      (world) => (world.commits = { count: null, titles: [], forward: null }),
      /which commits it brings/,
    ],
    [
      'migrations are pending',
      (world) => (world.migrations = { count: 3, names: ['m1', 'm2'] }),
      /^3 migrations not applied in production: m1, m2 and 1 more; this run applies none$/,
    ],
    [
      'nobody knows of migrations',
      (world) => (world.migrations = { count: null, names: [], problem: 'no table' }),
      /whether migrations are pending is not known: no table/,
    ],
    ['it is the first to get it', (world) => (world.staging = null), /production is the first to get it/],
    ['a failed one stays', (world) => (world.retires = false), /no `retire` is configured/],
    [
      'there may be no way back',
      (world) => (world.all = [{ ...world.all[0]!, state: 'failed' }]),
      /1\.0\.0 is failed: it may not go in front again/,
    ],
    [
      'it was taken away before',
      (world) => (world.all = [{ ...NEW, rolledBackAt: '2026-01-03T00:00:00.000Z' }, ...world.all]),
      '2.0.0 was itself rolled back before',
    ],
  ])('warns where %s', async (_, change, warning) => {
    expect(await warned(change)).toContainEqual(
      typeof warning === 'string' ? warning : expect.stringMatching(warning),
    );
  });

  it('warns of nothing else', async () => {
    expect(await warned((world) => (world.staging = 'staging'))).toEqual([]);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReviewActivities } from '../../../src/activities/deployments/review';
import { configSchema } from '../../../src/config/schema';
import { GITHUB_TOKEN, LATER, NEW, OLD, startGithub, type GithubSimulator } from '../../simulators/github';
import { failureOf, runActivity } from '../../support/postgres';

let github: GithubSimulator;
beforeAll(async () => {
  github = await startGithub();
});
afterAll(() => github?.stop());
let directory: string;
beforeEach(() => {
  github.reset();
  directory = mkdtempSync(join(tmpdir(), 'review-'));
  process.env['REVIEW_TOKEN'] = GITHUB_TOKEN;
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
  delete process.env['REVIEW_TOKEN'];
});

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};
const command = (script: string) => ({ run: ['sh', '-c', script] });

function start(release: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const deployments = {
    list: command('true'),
    promote: command('true'),
    release: { deploy: command('true'), ...release },
  };
  const config = configSchema.parse({
    services: { shop: { environments: { production: { database } }, deployments, ...more } },
  });
  return createReviewActivities({ config: { ...config, file: join(directory, 'x.yaml'), directory } });
}

const withGithub = (more: Record<string, unknown> = {}) => ({
  review: { github: { repository: 'shop/app', url: github.url, token: '${env:REVIEW_TOKEN}', ...more } },
});
const release = { version: '2.0.0', commit: NEW.slice(0, 8) };
const input = { service: 'shop', release };
const check = async (config: Record<string, unknown> = withGithub()) =>
  runActivity(start(config).checkRelease, input);
const failed = async (config?: Record<string, unknown>) =>
  (await check(config)).checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`);

describe('GitHub', () => {
  it('says that a reviewed commit with green checks on its branch may be deployed', async () => {
    const { checks, missing } = await check();
    expect(checks).toEqual([
      { name: 'CI', ok: true, detail: 'green: 3 checks' },
      { name: 'review', ok: true, detail: 'approved: #7 is approved by bob, wanted: 1' },
      { name: 'branch main', ok: true, detail: 'main has it' },
    ]);
    expect(missing).toEqual(['environment variables', 'changelog']);
  });

  it.each<[string, () => unknown, string | RegExp]>([
    [
      'a status is red',
      () => github.repository.statuses.push({ context: 'ci/lint', state: 'failure' }),
      'CI: red: ci/lint failure',
    ],
    [
      'a check is red, whatever the statuses say',
      () => github.repository.checks.push({ name: 'e2e', status: 'completed', conclusion: 'timed_out' }),
      'CI: red: e2e timed_out',
    ],
    [
      'a check still runs',
      () => github.repository.checks.push({ name: 'e2e', status: 'in_progress', conclusion: null }),
      'CI: pending: e2e pending',
    ],
    [
      'nothing ran at all',
      () => Object.assign(github.repository, { statuses: [], checks: [] }),
      'CI: none: no check ran for it',
    ],
    [
      'a check beyond the first page is red',
      () => {
        const well = { name: 'unit', status: 'completed', conclusion: 'success' };
        github.repository.checks = [
          ...Array<typeof well>(150).fill(well),
          { ...well, conclusion: 'failure' },
        ];
      },
      'CI: red: unit failure',
    ],
    [
      'nobody has reviewed it',
      () => (github.repository.reviews = []),
      /^review: missing: #7 is approved by nobody/,
    ],
    [
      'somebody approved it who is nobody to the repository',
      () => (github.repository.reviews[0]!.author_association = 'CONTRIBUTOR'),
      /^review: missing: #7 is approved by nobody/,
    ],
    [
      'no pull request has it',
      () => (github.repository.pulls = []),
      'review: missing: no pull request has this commit',
    ],
    [
      'an approval was of what the pull request was before',
      () => (github.repository.reviews[0]!.commit_id = OLD),
      'review: missing: #7 is approved by nobody, not counting approvals of what it was before, wanted: 1',
    ],
    [
      'somebody wants changes',
      () =>
        github.repository.reviews.push({ user: { login: 'cy' }, state: 'CHANGES_REQUESTED', commit_id: NEW }),
      'review: changes-requested: #7: cy want changes',
    ],
    [
      'who approved it has taken that back',
      () => github.repository.reviews.push({ user: { login: 'bob' }, state: 'DISMISSED', commit_id: NEW }),
      /^review: missing: #7 is approved by nobody/,
    ],
    [
      'main does not have it',
      () => (github.repository.branches['main'] = OLD),
      /^branch main: main does not have it/,
    ],
  ])('refuses it where %s', async (_, change, wanted) => {
    change();
    const expected = typeof wanted === 'string' ? wanted : expect.stringMatching(wanted);
    expect(await failed()).toEqual([expected]);
  });

  it('counts the approvals that are wanted, and the last word of each person', async () => {
    github.repository.reviews.push({ user: { login: 'bob' }, state: 'COMMENTED', commit_id: NEW });
    expect(await failed(withGithub({ approvals: 2 }))).toEqual([
      'review: missing: #7 is approved by bob, wanted: 2',
    ]);
    github.repository.reviews.push({ user: { login: 'cy' }, state: 'APPROVED', commit_id: NEW });
    expect(await failed(withGithub({ approvals: 2 }))).toEqual([]);
  });

  it.each([
    ['down', /is in trouble: it answered 503/, false],
    ['busy', /wants fewer requests \(429\)/, false],
    ['limited', /wants fewer requests \(403\)/, false],
    ['html', /answered 200 with a web page instead of JSON/, true],
  ] as const)(
    'that is %s is an error, and says nothing about the commit',
    async (mood, message, nonRetryable) => {
      github.mood = mood;
      const failure = await failureOf(check());
      expect(failure).toMatchObject({ type: 'HttpFailed', nonRetryable });
      expect(failure.message).toMatch(message);
      expect(failure.message).not.toContain(GITHUB_TOKEN);
    },
  );

  it('says that a commit, or the right to see it, is missing', async () => {
    const { checkRelease } = start(withGithub());
    const unknown = { ...input, release: { ...release, commit: 'd'.repeat(40) } };
    expect((await failureOf(runActivity(checkRelease, unknown))).message).toMatch(
      /does not show commits\/d+ of shop\/app \(404\): it does not exist, or the token may not see it/,
    );
    process.env['REVIEW_TOKEN'] = 'ghp_another';
    expect((await failureOf(check())).message).toMatch(/the token may not see it/);
  });

  it('tells what a release brings, and what it would take away', async () => {
    const { readCommits } = start(withGithub());
    const from = OLD;
    expect(await runActivity(readCommits, { ...input, from })).toEqual({
      count: 1,
      titles: ['bbbbbbb Change b'],
      forward: true,
    });
    expect((await runActivity(readCommits, { ...input, from: LATER })).forward).toBe(false);
    expect((await runActivity(readCommits, input)).count).toBeNull();
  });
});

describe('commands', () => {
  const printed = (more: object = {}) => ({
    review: {
      command: command(
        `echo '${JSON.stringify({ ci: 'green', review: 'approved', branches: ['main', 'develop'], ...more })}'`,
      ),
    },
  });
  const staging = { branch: 'develop', list: command('true'), deploy: command('true') };

  it('say it as well, for every branch that is wanted', async () => {
    expect(await failed({ ...printed(), staging })).toEqual([]);
    expect(await failed({ ...printed({ ci: 'red', detail: 'lint', branches: ['main'] }), staging })).toEqual([
      'CI: red: lint',
      'branch develop: develop does not have it: merge it first',
    ]);
    const failure = await failureOf(check(printed({ ci: 'greenish' })));
    expect(failure).toMatchObject({ type: 'CommandFailed', message: expect.stringContaining('ci') });
  });

  it('name the environment variables, of which all that are needed must be there', async () => {
    const variables = (required: string[]) => ({
      variables: { list: command('printf "DATABASE_URL\\nAPI_KEY\\n"'), required },
    });
    expect(await failed(variables(['DATABASE_URL', 'API_KEY']))).toEqual([]);
    expect(await failed(variables(['API_KEY', 'API']))).toEqual([
      'environment variables: not set in production: API',
    ]);
  });

  it.each([
    ['# Changes\n\n## 2.0.0 (2026-11-22)\n\n- faster\n\n## 1.0.0\n', []],
    ['# Changes\n\n## [v2.0.0]\n\n### Added\n\n- faster\n', []],
    ['# Changes\n\n## 2.0.0\n\n## 1.0.0\n\n- first\n', ['changelog: has no entry for 2.0.0']],
    ['# Changes\n\n## 12.0.0\n\n- x\n\n## 2.0.0-rc.1\n\n- y\n', ['changelog: has no entry for 2.0.0']],
  ])('print the changelog, which must have an entry: %j', async (text, wanted) => {
    writeFileSync(join(directory, 'log'), text);
    expect(await failed({ changelog: command('cat log') })).toEqual(wanted);
  });

  it('print the commits, and cannot tell whether some go away', async () => {
    const { readCommits } = start({ commits: command('echo "b2 two"; echo "b1 one"') });
    expect(await runActivity(readCommits, { ...input, from: OLD })).toEqual({
      count: 2,
      titles: ['b2 two', 'b1 one'],
      forward: null,
    });
  });

  it('that fail are errors, and are tried again', async () => {
    const failure = await failureOf(check({ changelog: command('exit 3') }));
    expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: false });
  });
});

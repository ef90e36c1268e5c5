import { startBlueGreen, type BlueGreen } from '../simulators/blue-green';
import { GITHUB_TOKEN, LATER, NEW, OLD, startGithub, type GithubSimulator } from '../simulators/github';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { configure, startDriver, titles, type Driver, type Ended } from './harness';
import { killDuring, startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const DEPLOY = 'deployApplication';
let driver: Driver;
let worker: WorkerProcess;
let production: BlueGreen;
let staging: BlueGreen;
let github: GithubSimulator;
beforeAll(async () => {
  process.env['SHOP_GITHUB_TOKEN'] = GITHUB_TOKEN;
  [driver, production, staging, github] = await Promise.all([
    startDriver(400, false),
    startBlueGreen(),
    startBlueGreen(),
    startGithub(),
  ]);
  configure(driver, settings());
  worker = await startWorkerProcess(driver.stack.configFile);
});
beforeEach(() => {
  production.reset();
  staging.reset();
  github.reset();
});
afterAll(async () => {
  await worker?.stop();
  await Promise.all([production, staging, github].map((one) => one?.stop()));
  await driver?.stack.stop();
});

const flows = (app: BlueGreen) => ({
  flows: ['quote', 'hold'].map((name) => ({
    name,
    operation: { url: `${app.url}/${name}`, success: { field: 'ok', equals: [true] } },
  })),
});

/** An application of its own: none of it is the sample's. */
const settings = () => ({
  'environments.production.application': {
    health: [{ name: 'shop', url: `${production.url}/health` }],
    errorRate: { url: `${production.url}/numbers`, field: 'errorRate', max: 0.2, windowSeconds: 1 },
    soakSeconds: 1,
    soakEverySeconds: 0.2,
  },
  'environments.production.observe': {
    measures: {
      'latency-p95': {
        operation: { url: `${production.url}/numbers`, field: 'p95' },
        warning: 1,
        critical: 2,
        windowSeconds: 1,
      },
    },
  },
  'environments.production.smoke': flows(production),
  'environments.staging.application': { health: [{ name: 'shop', url: `${staging.url}/health` }] },
  'environments.staging.smoke': flows(staging),
  deployments: {
    list: production.tool('list'),
    promote: production.tool('promote'),
    settleSeconds: 5,
    release: {
      deploy: production.tool('deploy'),
      retire: production.tool('retire'),
      staging: { list: staging.tool('list'), deploy: staging.tool('deploy-front'), branch: 'develop' },
      review: {
        github: { repository: 'shop/app', url: github.url, token: '${env:SHOP_GITHUB_TOKEN}' },
      },
      variables: { list: { run: ['echo', 'DATABASE_URL'] }, required: ['DATABASE_URL'] },
      changelog: { run: ['printf', '## 2.0.0\n\n- faster\n\n## 3.0.0\n\n- more\n'] },
    },
  },
});

const release = { version: '2.0.0', commit: NEW };
const begin = (more: Record<string, unknown> = {}) => driver.start(DEPLOY, { ...release, ...more });
/** One that asks a person is an error that says what it asks, and no test that waits for an answer. */
const deploy = async (more: Record<string, unknown> = {}): Promise<Ended> => {
  const handle = await begin(more);
  const asks = driver.waiting(handle, 'task').then(
    ({ question }) => Promise.reject(new Error(`it asks a person: ${question}`)),
    // It has ended.
    () => undefined,
  );
  const [ended] = await Promise.all([driver.end(handle), asks]);
  return ended;
};
const said = ({ report }: Ended, title: string) =>
  report.timeline.find((entry) => entry.title === title)?.detail;
const versions = (app: BlueGreen) => app.rows().map(({ version, state }) => `${version} ${state}`);

it('tries a version on staging, puts it beside the old one, tries it there, and puts it in front', async () => {
  const ended = await deploy();
  expect([ended.outcome, ended.message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(
      /^2\.0\.0 is in front instead of 1\.0\.0, which stays beside as the way back; error rate /,
    ),
  ]);
  expect([production.front(), staging.front()]).toEqual(['2.0.0', '2.0.0']);
  expect(production.calls()).toEqual(['deploy 2.0.0', 'promote 2.0.0-2']);
  expect(versions(production)).toEqual(['2.0.0 ready', '1.0.0 ready']);
  const order = titles(ended.report);
  const at = (title: string) => order.indexOf(title);
  expect(at('Smoke test of booking/staging')).toBeGreaterThan(at('Deploy 2.0.0 to booking/staging'));
  expect(at('Deploy 2.0.0 beside 1.0.0')).toBeGreaterThan(at('Smoke test of booking/staging'));
  expect(at('Put 2.0.0 in front')).toBeGreaterThan(at('Smoke test of 2.0.0 before it is in front'));
  expect(said(ended, 'Smoke test of 2.0.0 before it is in front')).toMatch(
    /^at http:\/\/127\.0\.0\.1:\d+: 2 key flows work: quote, hold$/,
  );
  expect(order.filter((title) => title === 'Smoke test of booking/production')).toHaveLength(2);
  expect(JSON.stringify(await ended.handle.fetchHistory())).not.toContain(GITHUB_TOKEN);
  expect(await deploy()).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: expect.stringMatching(/^2\.0\.0 \(2\.0\.0-2 of .* is in front already$/),
  });
  const other = await deploy({ version: '1.0.0', commit: LATER });
  expect(other.message).toMatch(/is another commit than c+: give the new one another version/);
});

it('only plans while it observes, and says what it knows', async () => {
  const { outcome, report } = await deploy({ mode: 'observe' });
  expect(outcome).toBe('OBSERVED');
  expect(report.plan?.actions.map(({ action }) => action)).toEqual([
    'deploy 2.0.0 and try it',
    'deploy 2.0.0 beside 1.0.0',
    'put 2.0.0 in front',
  ]);
  expect(report.plan?.actions[1]?.detail).toBe(`commit ${NEW}; 1 commit more than 1.0.0; bbbbbbb Change b`);
  expect(report.plan?.actions[2]?.detail).toMatch(/^way back: put 1\.0\.0 \(1\.0\.0-1 of/);
  expect(report.plan?.warnings).toContainEqual(
    expect.stringMatching(/^\d+ migrations not applied in production: 2026_.*; this run applies none$/),
  );
  expect([production.calls(), staging.calls()]).toEqual([[], []]);
});

it.each<[string, () => unknown, RegExp]>([
  [
    'CI is red',
    () => github.repository.checks.push({ name: 'e2e', status: 'completed', conclusion: 'failure' }),
    /2\.0\.0 may not be deployed\. CI: red: e2e failure\. Nothing was changed/,
  ],
  [
    'a review is missing',
    () => (github.repository.reviews = []),
    /review: missing: #7 is approved by nobody/,
  ],
  [
    'it is not on develop',
    () => (github.repository.branches['develop'] = OLD),
    /branch develop: .*merge it first/,
  ],
  ['GitHub answers with a page', () => (github.mood = 'html'), /with a web page instead of JSON/],
])('is refused where %s, and nothing was touched', async (_, change, message) => {
  change();
  const ended = await deploy();
  expect([ended.outcome, ended.message]).toEqual(['FAILED', expect.stringMatching(message)]);
  expect([production.calls(), staging.calls()]).toEqual([[], []]);
});

it('waits for GitHub while it wants to be left alone', async () => {
  github.mood = 'busy';
  const handle = await begin({ mode: 'observe' });
  await until(() => github.requests.length > 0);
  github.mood = 'well';
  expect((await driver.end(handle)).outcome).toBe('OBSERVED');
});

it('never comes near production where it fails on staging', async () => {
  staging.set('bad', '/hold 2.0.0');
  const { outcome, message } = await deploy();
  expect(outcome).not.toBe('SUCCEEDED');
  expect(message).toMatch(/Could not try the key flow "hold" of booking\/staging/);
  expect(production.calls()).toEqual([]);
});

/** PARTIAL where production is as it was: staging keeps the version, and the run says so. */
it('moves no customer to a version that fails beside the old one, and takes it away', async () => {
  production.set('bad', '/quote 2.0.0');
  const ended = await deploy();
  expect([ended.outcome, ended.message]).toEqual([
    'PARTIAL',
    expect.stringContaining('Could not try the key flow "quote" of booking/production'),
  ]);
  expect(production.calls()).toEqual(['deploy 2.0.0', 'retire 2.0.0-2']);
  expect([...production.served]).toEqual(['1.0.0']);
  expect(said(ended, '1.0.0 is in front')).toBe('there is no traffic to move back');
  expect(versions(production)).toEqual(['1.0.0 ready']);
});

it('takes what is beside already, and leaves it there where it fails', async () => {
  production.putBeside('2.0.0', NEW);
  production.set('bad', '/quote 2.0.0');
  const ended = await deploy();
  expect([ended.outcome, production.calls()]).toEqual(['PARTIAL', []]);
  expect(ended.report.plan?.actions.map(({ action }) => action)).toContainEqual(
    expect.stringMatching(/^take 2\.0\.0 .*, which is there already$/),
  );
  expect(said(ended, '2.0.0 stays beside')).toMatch(/without traffic$/);
  expect(versions(production)).toEqual(['2.0.0 ready', '1.0.0 ready']);
});

it('puts the old one in front again, and verifies it, where customers get errors', async () => {
  production.set('bad', '/pages 2.0.0');
  const ended = await deploy();
  expect([ended.outcome, production.front()]).toEqual(['PARTIAL', '1.0.0']);
  expect(production.calls()).toEqual([
    'deploy 2.0.0',
    'promote 2.0.0-2',
    'promote 1.0.0-1',
    'retire 2.0.0-2',
  ]);
  const undone = ended.report.timeline
    .filter(({ movement }) => movement === 'undo')
    .map(({ title }) => title);
  expect(undone).toEqual([
    'Going back',
    'What is in front now?',
    'Put 1.0.0 in front again',
    '1.0.0-1 is in front',
    'booking/production/application serves again',
    'It keeps serving',
    'Take 2.0.0 away',
  ]);
});

it('reads again what a cut-over that failed half-way has left, and puts the old one in front', async () => {
  production.set('breaks', 'half 2.0.0');
  const ended = await deploy();
  expect([ended.outcome, production.front()]).toEqual(['PARTIAL', '1.0.0']);
  expect(said(ended, 'What is in front now?')).toBe('none');
  expect(ended.message).toContain('let the old one go and did not take the new one');
});

it('calls a person where the old one cannot be put in front again', async () => {
  production.set('bad', '/pages 2.0.0');
  production.set('breaks', 'promote 1.0.0');
  const handle = await begin();
  const { id, question } = await driver.waiting(handle, 'task');
  expect(question).toMatch(/^Put 1\.0\.0 in front again failed: .*the load balancer does not answer/s);
  expect(production.front()).toBe('2.0.0');
  await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'by hand' });
  expect((await driver.end(handle)).outcome).toBe('NEEDS_HUMAN');
});

it('has one deployment at a time: the second finds another one in front, and leaves it', async () => {
  github.repository.branches['main'] = LATER;
  production.set('slow', '');
  const first = await begin();
  await until(() => production.calls().length === 1);
  const second = await begin({ commit: LATER, version: '3.0.0' });
  const isWaiting = ({ title, status }: { title: string; status: string }) =>
    title === 'Lease of booking/production/application' && status === 'running';
  await driver.until(second, ({ timeline }) => timeline.some(isWaiting));
  production.set('slow');
  const [one, two] = [await driver.end(first), await driver.end(second)];
  expect(one.outcome).toBe('SUCCEEDED');
  expect(two.message).toMatch(
    /2\.0\.0 .* is in front of booking now and not 1\.0\.0 .*somebody else deployed/,
  );
  expect(production.front()).toBe('2.0.0');
  expect(production.calls()).toEqual(['deploy 2.0.0', 'promote 2.0.0-2']);
});

it('deploys once where the worker is killed in the middle of it', async () => {
  production.set('slow', '');
  const handle = await begin();
  await until(() => production.rows().some(({ state }) => state === 'building'));
  worker = await killDuring(worker, driver.stack.configFile, () => true);
  production.set('slow');
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(
    production.rows().filter(({ version, state }) => version === '2.0.0' && state === 'ready'),
  ).toHaveLength(1);
  expect(production.front()).toBe('2.0.0');
});

it('changes nothing in production where it is denied, or nobody answers', async () => {
  const handle = await begin({ mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'reject', { plan: id, by: 'ben', note: 'not today' });
  const denied = await driver.end(handle);
  // Staging keeps it, and the text says both.
  expect([denied.outcome, denied.report.instead]).toEqual(['PARTIAL', 'REJECTED']);
  expect(denied.message).toMatch(/ben rejected plan \w+: not today.*booking\/staging runs 2\.0\.0/s);
  await worker.kill();
  configure(driver, { 'approval.expiresAfterMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect(await deploy({ mode: 'propose' })).toMatchObject({ outcome: 'PARTIAL' });
  expect(production.calls()).toEqual([]);
});

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileRoutes, planRun, routeOf } from '../../src/alerts/routing';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { firing } from './alerts';
import { configure, startDriver, titles, type Driver, type Ended } from './harness';
import { DRIFT, FILL, OVERSELL, ROWS, settings, TABLES, type Files } from './inventory-world';
import { keepHistory } from './keep-history';
import { slowChanges } from './slow-changes';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const AUDIT = 'auditInventory';
let driver: Driver;
let worker: WorkerProcess;
let files: Files;
beforeAll(async () => {
  driver = await startDriver(400, false, {}, { shared_preload_libraries: 'pg_stat_statements' });
  const inside = (name: string) => join(driver.stack.directory, name);
  files = { fails: inside('fails'), said: inside('said'), log: inside('log'), jam: inside('jam') };
  writeFileSync(files.said, 'on');
  await driver.sql(TABLES);
  configure(driver, settings(files));
  worker = await startWorkerProcess(driver.stack.configFile);
});
beforeEach(async () => {
  for (const file of Object.values(files)) rmSync(file, { force: true });
  writeFileSync(files.said, 'on');
  await driver.sql(FILL);
});
afterAll(async () => {
  await worker?.stop();
  await driver?.stack.stop();
});

const rows = () => driver.sql(ROWS);
const taken = async (...units: number[]) =>
  (
    await driver.sql<{ taken: number }>(`SELECT taken FROM units WHERE no IN (${units.join()}) ORDER BY no`)
  ).map((row) => row.taken);
const switched = () => (existsSync(files.log) ? readFileSync(files.log, 'utf8').trim().split('\n') : []);
const drift = () => driver.sql(DRIFT);
const oversell = () => driver.sql(OVERSELL);
const propose = async (input = {}) => {
  const handle = await driver.start(AUDIT, { mode: 'propose', ...input });
  const { id } = await driver.waiting(handle, 'approval');
  return { handle, plan: id };
};
const approve = async () => {
  const { handle, plan } = await propose();
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  return handle;
};
const warnings = ({ report }: Ended) => report.plan?.warnings ?? [];

it('has nothing to do where counters, ledger and bookings agree', async () => {
  const ended = await driver.run(AUDIT);
  expect([ended.outcome, ended.report.summary]).toEqual([
    'NOTHING_TO_DO',
    'counters of booking/production are what the ledger adds up to, and none is over capacity',
  ]);
  expect(switched()).toEqual([]);
});

it('changes nothing while it only observes, or is refused', async () => {
  await drift();
  await oversell();
  await driver.sql('UPDATE units SET taken = 5 WHERE no = 3');
  await driver.sql('SELECT taken, most FROM units WHERE no = 3');
  const before = await rows();
  const observed = await driver.run(AUDIT, { mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan?.actions).toEqual([
    expect.objectContaining({ action: 'stop confirmations' }),
    expect.objectContaining({
      action: 'rebuild counters from the ledger',
      count: 2,
      detail: expect.stringMatching(/: 2 units: 1 \(counter 0, ledger 2\), 2 \(counter 0, ledger 2\)$/),
    }),
    expect.objectContaining({
      action: 'a task for a person: decide about units and their bookings',
      detail: expect.stringMatching(/: 1 unit: 3 \(5 of 4 sold; bookings \d+, \d+, \d+, \d+, \d+\)$/),
    }),
  ]);
  expect(warnings(observed)).toEqual(
    expect.arrayContaining([
      'finding: 1 unit over capacity and no update was refused lately: nothing seems to check it',
      expect.stringMatching(
        /^finding: sets taken to a number that was worked out before, .*UPDATE units SET taken = \$\d/,
      ),
      expect.stringMatching(
        /^finding: reads taken without FOR UPDATE, .*: SELECT taken, most FROM units WHERE no = \$1$/,
      ),
    ]),
  );
  const { handle, plan } = await propose();
  await driver.answer(handle, 'reject', { plan, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect([await rows(), switched()]).toEqual([before, []]);
});

it('puts counters back and takes confirmations again where the smoke test fails', async () => {
  await drift();
  const before = await rows();
  writeFileSync(files.fails, '');
  const ended = await driver.end(await approve());
  expect(ended.outcome).toBe('ROLLED_BACK');
  expect(await rows()).toEqual(before);
  expect([switched(), readFileSync(files.said, 'utf8').trim()]).toEqual([['off', 'on'], 'on']);
});

it('takes confirmations again where the counters cannot be rebuilt', async () => {
  await drift();
  await driver.sql('ALTER TABLE units ADD CONSTRAINT never CHECK (no <> 2 OR taken = 0)');
  try {
    const before = await rows();
    const ended = await driver.end(await approve());
    expect(ended.outcome).toBe('ROLLED_BACK');
    expect([await rows(), switched()]).toEqual([before, ['off', 'on']]);
  } finally {
    await driver.sql('ALTER TABLE units DROP CONSTRAINT never');
  }
});

it('takes confirmations again before people repair counters that cannot be put back', async () => {
  await drift();
  await driver.sql('ALTER TABLE units ADD CONSTRAINT never CHECK (no <> 1 OR taken <> 0) NOT VALID');
  try {
    writeFileSync(files.fails, '');
    const handle = await approve();
    const task = await driver.waiting(handle, 'task');
    expect(task.question).toMatch(/^Put the counters back failed/);
    expect([switched(), readFileSync(files.said, 'utf8').trim()]).toEqual([['off', 'on'], 'on']);
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'looked at it' });
    expect((await driver.end(handle)).outcome).toBe('NEEDS_HUMAN');
  } finally {
    await driver.sql('ALTER TABLE units DROP CONSTRAINT never');
  }
});

it('keeps rebuilt counters where confirmations cannot be resumed, and says exactly how people do it', async () => {
  await drift();
  writeFileSync(files.jam, '');
  const handle = await approve();
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toContain(
    `Resume them by hand: \`RUNBOOKS_SERVICE=booking RUNBOOKS_ENVIRONMENT=production sh -c 'test ! -e ${files.jam} || exit 9; echo on`,
  );
  const paged = driver.stack.inbox.received().filter(({ kind }) => kind === 'page');
  expect(paged.some(({ text }) => text.includes('may still be stopped, and then nothing is sold'))).toBe(
    true,
  );
  expect(await taken(1, 2)).toEqual([2, 2]);
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'too early' });
  await driver.until(handle, ({ waiting }) =>
    waiting.some(({ question }) => question.startsWith('Still not right (it says "off": stopped)')),
  );
  writeFileSync(files.said, 'on');
  const again = await driver.waiting(handle, 'task');
  await driver.answer(handle, 'done', { task: again.id, by: 'ben', note: 'by hand' });
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect([await taken(1, 2), switched()]).toEqual([[2, 2], ['off']]);
});

it('starts from its alert, counts in what was sold since the plan, asks, and leaves bookings to a person', async () => {
  const { config } = driver.stack;
  const match = { 'labels.alertname': 'InventoryCountersWrong' };
  const input = { service: 'booking', environment: 'production' };
  const route = {
    ...config.alerts.routes[0]!,
    name: 'inventory',
    match,
    runbook: AUDIT,
    input,
    mode: 'propose' as const,
  };
  const alert = firing({
    title: 'counters are wrong',
    labels: { alertname: 'InventoryCountersWrong', service: 'booking' },
  });
  const routes = compileRoutes({ ...config, alerts: { ...config.alerts, routes: [route] } });
  const run = planRun(config, routeOf(routes, alert)!, alert);
  expect(run.runbook).toBe(AUDIT);
  await drift();
  await oversell();
  const { handle, plan } = await propose({ ...run.input, alert });
  await driver.sql(
    `INSERT INTO sales (unit, state) VALUES (1, 'PAID'); INSERT INTO ledger (unit, quantity) VALUES (1, 1)`,
  );
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  const decision = await driver.waiting(handle, 'decision');
  expect(decision.question).toMatch(
    /are stopped, and units are sold too often: 1 unit: 3 \(5 of 4 sold; bookings /,
  );
  expect([await taken(1, 2, 3), switched()]).toEqual([[3, 2, 5], ['off']]);
  await driver.answer(handle, 'decide', { question: decision.id, choice: 'resume', by: 'ben' });
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(/this run cancels none\. Say done/);
  expect(switched()).toEqual(['off', 'on']);
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'called them' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.summary]).toEqual([
    'SUCCEEDED',
    '3 counters of booking/production rebuilt from the ledger; a person has 1 unit',
  ]);
  expect(await driver.sql(`SELECT count(*)::int AS n FROM sales WHERE state = 'PAID'`)).toEqual([{ n: 44 }]);
  expect(await driver.sql('SELECT entity_id, action FROM trail ORDER BY 1')).toEqual(
    ['1', '2', '3'].map((entity_id) => ({ entity_id, action: 'inventory_rebuilt' })),
  );
  await keepHistory(handle, 'audit-inventory');
});

it('leaves confirmations stopped where a person says so, and says that it does also where it fails then', async () => {
  await oversell();
  const handle = await approve();
  const decision = await driver.waiting(handle, 'decision');
  writeFileSync(files.fails, '');
  await driver.answer(handle, 'decide', { question: decision.id, choice: 'keep stopped', by: 'ben' });
  const { outcome, message } = await driver.end(handle);
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringContaining('changed and not undone: confirmations stay stopped, as a person decided'),
  ]);
  expect([await taken(3), switched()]).toEqual([[2], ['off']]);
});

it('leaves confirmations to whoever had stopped them before', async () => {
  await drift();
  writeFileSync(files.said, 'off');
  const { outcome, report } = await driver.end(await approve());
  expect([outcome, report.summary]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(
      /^2 counters .*; confirmations stay stopped, as somebody else had stopped them before$/,
    ),
  ]);
  expect([report.plan?.warnings, switched()]).toEqual([
    expect.arrayContaining([expect.stringMatching(/stopped by somebody else before/)]),
    [],
  ]);
});

it('does not succeed where other counters go wrong meanwhile', async () => {
  await drift();
  const { handle, plan } = await propose();
  await driver.sql('UPDATE units SET taken = 1 WHERE no = 9');
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  const { outcome, message } = await driver.end(handle);
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringContaining('1 unit: 9 (counter 1, ledger 2); none is sold too often'),
  ]);
  expect(await taken(1, 2, 9)).toEqual([2, 2, 1]);
});

it('rebuilds each once, and takes confirmations again, when the worker is killed in the middle', async () => {
  await driver.sql('UPDATE units SET taken = 0 WHERE no <= 12');
  const slow = await slowChanges(driver, 'units', 'NEW.taken = 2');
  const handle = await approve();
  const left = async () => (await driver.sql('SELECT FROM units WHERE taken = 0')).length;
  await until(async () => (await left()) <= 9);
  await worker.kill();
  expect([await left(), switched()]).toEqual([expect.any(Number), ['off']]);
  expect(await left()).toBeGreaterThan(0);
  await slow.quicken();
  worker = await startWorkerProcess(driver.stack.configFile);
  const { outcome, report } = await driver.end(handle);
  await slow.end();
  expect([outcome, report.facts['countersRebuilt'], switched()]).toEqual(['SUCCEEDED', 12, ['off', 'on']]);
  expect(
    await driver.sql('SELECT count(*)::int AS n, count(DISTINCT entity_id)::int AS units FROM trail'),
  ).toEqual([{ n: 12, units: 12 }]);
});

it('resumes where nobody answers; says in the plan what is not configured; does nothing where nobody approves', async () => {
  await worker.kill();
  configure(driver, { 'environments.production.inventory.confirmations.askMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  await oversell();
  const handle = await approve();
  const task = await driver.waiting(handle, 'task');
  expect([switched(), await taken(3)]).toEqual([['off', 'on'], [5]]);
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'called them' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, titles(report)]).toEqual(['SUCCEEDED', expect.arrayContaining(['Decision'])]);

  await worker.kill();
  configure(driver, { 'environments.production.inventory': undefined, 'approval.expiresAfterMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  await drift();
  expect(warnings(await driver.run(AUDIT, { mode: 'observe' }))).toEqual(
    expect.arrayContaining([
      'confirmations go on meanwhile: inventory.confirmations does not say how they are stopped',
      expect.stringMatching(/^updates that were refused for want of units are not looked at/),
    ]),
  );
  expect((await driver.run(AUDIT, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(await taken(1, 2)).toEqual([0, 0]);
});

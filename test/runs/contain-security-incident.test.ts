import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compileRoutes, planRun, routeOf } from '../../src/alerts/routing';
import { forgeSessions } from '../../examples/booking/forge';
import { readKeys } from '../../examples/booking/keys';
import { readSwitches } from '../../examples/booking/switches';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { firing } from './alerts';
import { historyOf, titles, type Driver } from './harness';
import { sh } from './secrets-world';
import { startSecurityWorld, type SecurityWorld } from './security-world';

quietTemporal();
const CONTAIN = 'containSecurityIncident';
const WHO = '203.0.113.7';
let world: SecurityWorld;
let driver: Driver;
beforeAll(async () => {
  world = await startSecurityWorld(WHO);
  ({ driver } = world);
  await start();
});
afterAll(() => world?.stop());
const start: SecurityWorld['start'] = (...settings) => world.start(...settings);
const folder = () => driver.stack.directory;
const isolations = () => world.isolations;
const statusFrom = (who: string) => world.statusFrom(who);
const pages = () => driver.stack.inbox.received().filter(({ kind }) => kind === 'page');
const input = { addresses: [WHO], title: 'Sessions that nobody issued' };

it('changes nothing while it only observes, or is refused', async () => {
  const before = [readKeys(folder()), readSwitches(folder())];
  const { outcome, report } = await driver.run(CONTAIN, {
    ...input,
    mode: 'observe',
    secrets: ['session-signing'],
  });
  expect(outcome).toBe('OBSERVED');
  expect(report.plan?.actions.map(({ action }) => action)).toEqual([
    'preserve the logs',
    'call lead, open or join an incident',
    `isolate: block ${WHO}`,
    'count in the audit log',
    'rotate at once: session-signing',
    'tasks for people: authorities, users, patches, timeline',
  ]);
  for (const wrong of [
    { secrets: ['nobodys'] },
    { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' },
  ])
    expect((await driver.run(CONTAIN, { ...input, ...wrong })).message).toContain('InvalidInput');
  const handle = await driver.start(CONTAIN, { ...input, mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect([readKeys(folder()), readSwitches(folder())]).toEqual(before);
  // The approval itself calls people.
  const called = pages().filter(({ text }) => !text.includes('Approve plan'));
  expect([existsSync(join(folder(), 'evidence')), called]).toEqual([false, []]);
});

it('preserves, isolates, counts, rotates and verifies in that order, and says what stays and how to end it', async () => {
  const [first] = readKeys(folder());
  const { outcome, message, report } = await driver.agree(
    await driver.start(CONTAIN, { ...input, secrets: ['session-signing'] }),
  );
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(
      /1 isolation in force: block 203\.0\.113\.7 \(to end it: `WHO=203\.0\.113\.7 .*switches\.js unblock`\)$/,
    ),
  ]);
  const steps = titles(report);
  const order = [
    'Preserve the logs',
    'Lead it as an incident',
    `Isolate: block ${WHO}`,
    'What does the audit log say',
    'Rotate the secrets',
    `block ${WHO} still isolates`,
  ];
  const at = order.map((title) => steps.findIndex((one) => one.startsWith(title)));
  expect(at).toEqual([...at].sort((a, b) => a - b));
  expect(at[0]).toBeGreaterThan(0);
  const kept = readFileSync(join(folder(), String(report.facts['logs'])));
  expect(report.facts['logsSha256']).toBe(createHash('sha256').update(kept).digest('hex'));
  expect(report.facts['scope']).toMatch(
    /^\d+ entries; concerning an unknown number of people; .*not limited to the addresses named/,
  );
  expect([await statusFrom(WHO), await statusFrom('203.0.113.8')]).toEqual([403, 200]);
  expect(readKeys(folder())[0]).toEqual({ ...first, state: 'retired' });
  expect(pages().some(({ channel, text }) => channel === 'lead' && text.includes('is being contained'))).toBe(
    true,
  );
  const tasks = report.timeline.filter(({ title }) => title === 'Task for a person');
  expect(tasks).toHaveLength(4);
  const incident = driver.stack.client.workflow.getHandle(String(report.facts['incident']));
  expect((await incident.describe()).status.name).toBe('RUNNING');
});

it('does nothing before a person has decided where the logs are not preserved', async () => {
  await start({ preserveLogs: sh('exit 7') });
  const handle = await driver.start(CONTAIN, input);
  const { id, question } = await driver.waiting(handle, 'decision');
  expect(question).toContain('ended with status 7');
  expect(await statusFrom(WHO)).toBe(200);
  await driver.answer(handle, 'decide', { question: id, choice: 'stop', by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(await statusFrom(WHO)).toBe(200);
  const again = await driver.agree(await driver.start(CONTAIN, input));
  expect([again.outcome, again.report.facts['logs']]).toEqual(['SUCCEEDED', 'not preserved, as decided']);
  expect(await statusFrom(WHO)).toBe(403);
});

it('asks before what cannot be taken back, records what was denied, and takes back what does not isolate', async () => {
  const done = join(folder(), 'ended');
  const { block } = isolations();
  const nothing = { command: sh('true') };
  const once = { ...block, per: undefined, settleSeconds: 1, apply: nothing, end: nothing };
  await start({
    isolations: {
      'end-sessions': { does: 'ends all sessions', apply: { command: sh(`touch ${done}`) } },
      idle: { ...once, probe: { command: sh('echo open') } },
      unsure: { ...once, probe: { command: sh('echo what') } },
      block,
    },
  });
  const handle = await driver.start(CONTAIN, {
    ...input,
    isolate: ['end-sessions', 'idle', 'unsure', 'block'],
  });
  const { id, question } = await driver.waiting(handle, 'decision');
  expect(question).toContain('end-sessions: ends all sessions. It cannot be taken back.');
  await driver.answer(handle, 'decide', { question: id, choice: 'leave it out', by: 'ben' });
  const { outcome, message, report } = await driver.agree(handle);
  expect([outcome, existsSync(done), await statusFrom(WHO)]).toEqual(['PARTIAL', false, 403]);
  expect(message).toContain('denied: end-sessions (as decided)');
  expect(message).toContain('idle: idle isolates: open');
  expect(message).toMatch(
    /1 isolation set, not verified: unsure \(not known: .*; to end it: .*\); 1 isolation in force: block 203\.0\.113\.7 \(to end it: /,
  );
  expect(await historyOf(handle)).toContain('verify by hand whether unsure');
  expect(pages().some(({ text }) => text.includes('idle does not isolate'))).toBe(true);
  expect(titles(report)).toContain('End idle');
  expect(titles(report)).not.toContain('End unsure');
});

it('goes on with the others where one can neither be set nor ended, and believes no probe that could not tell before', async () => {
  const { block } = isolations();
  const told = join(folder(), 'told');
  const stuck = { ...block, apply: { command: sh('exit 4') }, end: { command: sh('exit 5') } };
  const probe = { command: sh(`test -e ${told} && echo isolated || { touch ${told}; echo what; }`) };
  await start({
    isolations: {
      stuck: { ...stuck, probe: { command: sh('echo open') } },
      late: { ...block, probe },
      block,
    },
  });
  const { outcome, message, report } = await driver.agree(await driver.start(CONTAIN, input));
  expect([outcome, await statusFrom(WHO)]).toEqual(['PARTIAL', 403]);
  expect(message).toMatch(
    /1 isolation perhaps set: stuck 203\.0\.113\.7 \(ending it failed: .* status 5.*; to end it: `WHO=203\.0\.113\.7 .* sh -c 'exit 5'`\)/,
  );
  expect(message).toContain(`late ${WHO} (its probe could not tell before it was set, and proves nothing;`);
  expect(pages().some(({ text }) => text.includes(`stuck ${WHO} does not isolate`))).toBe(true);
  expect(titles(report)).not.toContain('Repair by a person');
});

it('rotates while a person is asked about an isolation', async () => {
  const { block } = isolations();
  await start({
    isolations: { 'end-sessions': { does: 'ends all sessions', apply: { command: sh('true') } }, block },
  });
  const former = readKeys(folder()).find(({ state }) => state === 'active')!.version;
  const handle = await driver.start(CONTAIN, { ...input, secrets: ['session-signing'] });
  const { id } = await driver.waiting(handle, 'decision');
  await until(async () => readKeys(folder()).find(({ version }) => version === former)!.state === 'retired');
  await driver.answer(handle, 'decide', { question: id, choice: 'leave it out', by: 'ben' });
  expect((await driver.agree(handle)).message).toContain('denied: end-sessions (as decided)');
});

it('says that a probe proves nothing which finds it isolated before, and succeeds after an attempt that failed', async () => {
  const { block } = isolations();
  await start({
    isolations: { block: { ...block, settleSeconds: 1, probe: { command: sh('echo open') } } },
  });
  const failed = await driver.agree(await driver.start(CONTAIN, input));
  expect([failed.outcome, failed.report.facts['isolations'], readSwitches(folder()).blocked]).toEqual([
    expect.stringMatching(/FAILED|ROLLED_BACK/),
    'nothing stays isolated by this run',
    [],
  ]);
  await driver.sql(
    'CREATE TABLE trail (nr int PRIMARY KEY, happened timestamptz, verb text, ip inet); INSERT INTO trail VALUES (1, now(), $$read$$, $$203.0.113.7$$), (2, now(), $$read$$, $$203.0.113.8$$); GRANT SELECT ON trail TO PUBLIC',
  );
  const columns = { id: 'nr', at: 'happened', action: 'verb', address: 'ip' };
  await start({ audit: { table: 'trail', columns } });
  const second = await driver.agree(await driver.start(CONTAIN, input));
  expect([second.outcome, second.message]).toEqual([
    'SUCCEEDED',
    expect.stringContaining('1 isolation in force'),
  ]);
  expect(second.report.facts['scope']).toMatch(/^1 entries; .* from 1 addresses; most often read \(1\)$/);
  const third = await driver.agree(await driver.start(CONTAIN, input));
  expect([third.outcome, third.message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(
      /1 isolation set, not verified: block .* \(its probe said isolated before .*unblock/,
    ),
  ]);
  expect(await statusFrom(WHO)).toBe(403);
});

it('has nothing that its commands print in its history, whether they fail or not', async () => {
  const { block } = isolations();
  const says = (rest = '') => sh(`echo a-live-token; echo a-live-token >&2; ${rest}`);
  await start({
    preserveLogs: says('exit 3'),
    isolations: {
      block: { ...block, apply: { command: says('exit 4') }, end: { command: says() } },
      look: { ...block, apply: { command: says() }, probe: { command: says() }, settleSeconds: 1 },
    },
  });
  const handle = await driver.start(CONTAIN, input);
  const { outcome, message } = await driver.agree(handle);
  expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining('ended with status 4')]);
  // The commands stand in the way to end it, as they do in the configuration.
  const printed = (await historyOf(handle)).replaceAll('echo a-live-token', '');
  expect([printed.includes('ended with status 4'), printed.includes('a-live-token')]).toEqual([true, false]);
});

it('makes tasks and warnings of all that is not configured', async () => {
  await start({ preserveLogs: undefined, isolations: {}, audit: undefined, rung: 'nobody' });
  const observed = await driver.run(CONTAIN, { mode: 'observe' });
  expect(observed.report.plan?.warnings).toEqual(
    expect.arrayContaining([
      expect.stringContaining('security.preserveLogs is not configured'),
      expect.stringContaining('the ladder has no "nobody"'),
      expect.stringContaining('security.isolations is not configured'),
      expect.stringContaining('security.audit is not configured'),
    ]),
  );
  const { outcome, report } = await driver.agree(await driver.start(CONTAIN));
  expect([outcome, report.timeline.filter(({ title }) => title === 'Task for a person').length]).toEqual([
    'SUCCEEDED',
    8,
  ]);
});

it('starts for its alert, which the forged sessions of the sample raise, when a person agrees', async () => {
  await start();
  const { config, app } = driver.stack;
  const alert = firing({
    title: '12 sessions in five minutes that nobody issued',
    labels: { alertname: 'BookingForgedSessions', service: 'booking', job: 'booking' },
  });
  const { runbook, input: routed } = planRun(config, routeOf(compileRoutes(config), alert)!, alert);
  expect([runbook, routed]).toEqual([CONTAIN, expect.objectContaining({ mode: 'propose' })]);
  const answers = await forgeSessions(folder(), { url: app.url, from: WHO, count: 12 });
  expect(new Set(answers)).toEqual(new Set([401]));
  const metrics = await (await fetch(`${app.url}/metrics`)).text();
  expect(metrics).toContain('booking_forged_sessions_total 12');
  const { outcome } = await driver.agree(await driver.start(CONTAIN, { ...routed, addresses: [WHO], alert }));
  expect(outcome).toBe('SUCCEEDED');
  expect(await forgeSessions(folder(), { url: app.url, from: WHO, count: 1 })).toEqual([403]);
});

it('isolates when the worker is killed meanwhile, and reminds people before a task is due', async () => {
  const flag = join(folder(), 'isolating');
  const { block } = isolations();
  const slow = sh(
    `touch ${flag}; sleep 3; ${(block!['apply'] as { command: { run: string[] } }).command.run.join(' ')}`,
  );
  await start({
    isolations: { block: { ...block, apply: { command: slow } } },
    notifyHours: { authorities: 1, users: 2 },
    remindHours: 1,
  });
  const handle = await driver.start(CONTAIN, input);
  await until(async () => existsSync(flag));
  await world.kill();
  rmSync(flag);
  await world.work();
  await driver.waiting(handle, 'task');
  expect(await statusFrom(WHO)).toBe(403);
  await until(async () =>
    pages().some(({ text }) => /not done yet, and due at .*: Report the incident/.test(text)),
  );
  const { outcome } = await driver.agree(handle);
  expect([outcome, readSwitches(folder()).blocked]).toEqual(['SUCCEEDED', [WHO]]);
});

it('does nothing where nobody approves in time', async () => {
  await start({}, { 'approval.expiresAfterMinutes': 0.02 });
  expect((await driver.run(CONTAIN, { ...input, mode: 'propose' })).outcome).toBe('REJECTED');
  expect(await statusFrom(WHO)).toBe(200);
});

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import type { RunStatus } from '../../src/contract/report';
import type { HistoryReport } from '../../src/contract/run-history';
import { runCli, spawnCli, startStandIns, temporaryFolder, type CliResult } from './harness';

const PLAN = 'abc123def456';
const folder = temporaryFolder();
let temporal: LocalTemporal;
let standIns: Awaited<ReturnType<typeof startStandIns>>;
let names = 0;

const cli = (...args: string[]): Promise<CliResult> =>
  runCli(args, { cwd: folder.path, env: { TEMPORAL_ADDRESS: temporal.address } });

/** Starts a stand-in that does what `reason` says, as the command does, in a tenth of its time; returns its ID. */
async function start(reason: string): Promise<string> {
  const workflowId = `test-${(names += 1)}`;
  await standIns.client.workflow.start('migrateDatabase', {
    workflowId,
    taskQueue: 'runbooks',
    args: [{ service: 'booking', reason, startedBy: 'dana' }],
    staticSummary: 'Migrate a database: booking',
  });
  return workflowId;
}

/** What the command says of a run once it waits. */
async function waitingIn(id: string): Promise<string> {
  const handle = standIns.client.workflow.getHandle(id);
  for (let round = 0; round < 2_400; round += 1) {
    const { waiting } = await handle.query<RunStatus>('status');
    if (waiting.length > 0) {
      const { stdout } = await cli('status', id);
      expect(stdout).toContain('Waits for a person');
      return stdout;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${id} never waited`);
}

beforeAll(async () => {
  temporal = await startTemporal({ directory: join(folder.path, 'temporal') });
  standIns = await startStandIns(temporal.address);
});

afterAll(async () => {
  await standIns?.stop();
  await temporal?.stop();
  folder.remove();
});

describe('starting', () => {
  it('makes an ID of runbook, service and time, and says how to go on', async () => {
    const { code, stdout } = await cli(
      '--json',
      'start',
      'migrateDatabase',
      '--service',
      'booking',
      '--reason',
      'succeed',
    );
    expect(code).toBe(0);
    const { workflowId, runId } = JSON.parse(stdout) as { workflowId: string; runId: string };
    expect(workflowId).toMatch(/^migrateDatabase\/booking\/\d{8}-\d{6}-[0-9a-f]{4}$/);
    expect(runId).not.toBe('');
  });

  it('takes the ID that it is given, and says nothing of workers where one listens', async () => {
    const args = ['--service', 'booking', '--reason', 'succeed', '--id', 'given', '--started-by', 'dana'];
    const { code, stdout, stderr } = await cli('start', 'migrateDatabase', ...args);
    expect([code, stdout, stderr.includes('No worker')]).toEqual([0, 'Started given\n', false]);
    const { staticSummary, type } = await standIns.client.workflow.getHandle('given').describe();
    expect([type, await staticSummary()]).toEqual(['migrateDatabase', 'Migrate a database: booking']);
  });

  it('takes the input from JSON, a file and standard input, and flags go over it', async () => {
    writeFileSync(
      join(folder.path, 'input.json'),
      '{"service":"booking","reason":"NEEDS_HUMAN","startedBy":"file"}',
    );
    const args = ['--json', 'start', 'migrateDatabase', '--watch', '--reason', 'succeed'];
    const fromFile = await cli(...args, '--input', '@input.json');
    expect(JSON.parse(fromFile.stdout)).toMatchObject({ outcome: 'SUCCEEDED', startedBy: 'file' });
    const env = { TEMPORAL_ADDRESS: temporal.address };
    const fromStdin = await spawnCli([...args, '--input', '-'], {
      env,
      cwd: folder.path,
      input: '{"service":"booking","startedBy":"stdin"}',
    });
    expect(JSON.parse(fromStdin.stdout)).toMatchObject({ outcome: 'SUCCEEDED', startedBy: 'stdin' });
  });

  it('starts nothing on bad input', async () => {
    const { code } = await cli('start', 'migrateDatabase', '--service', 'Bad Name', '--id', 'never-started');
    expect(code).toBe(2);
    expect((await cli('status', 'never-started')).code).toBe(5);
  });

  it('refuses a service that the configuration does not know', async () => {
    const database = "{ url: x, identity: { systemIdentifier: '0000000000', database: shop } }";
    const file = join(folder.path, 'shop.yaml');
    writeFileSync(file, `services: { shop: { environments: { production: { database: ${database} } } } }`);
    const { code, stderr } = await cli(
      '--config',
      file,
      'start',
      'migrateDatabase',
      '--service',
      'booking',
      '--id',
      'never-started-2',
    );
    expect([code, stderr]).toEqual([2, 'unknown service "booking". Known: shop.\n']);
    expect((await cli('status', 'never-started-2')).code).toBe(5);
  });

  it('never runs the same ID twice', async () => {
    const id = await start('succeed');
    await cli('watch', id);
    const { code, stderr } = await cli('start', 'migrateDatabase', '--service', 'booking', '--id', id);
    expect(code).toBe(2);
    expect(stderr).toContain('was started before');
  });
});

describe('watching', () => {
  it.each([
    ['succeed', 'SUCCEEDED', 0],
    ['FAILED', 'FAILED', 1],
    ['ROLLED_BACK', 'ROLLED_BACK', 1],
    ['REJECTED', 'REJECTED', 1],
    ['CANCELLED', 'CANCELLED', 1],
    ['NEEDS_HUMAN', 'NEEDS_HUMAN', 3],
  ])('a run that ends as %s says so and exits with its code', async (reason, outcome, exitCode) => {
    const { code, stdout } = await cli('watch', await start(reason));
    expect(stdout).toContain(outcome);
    expect(code).toBe(exitCode);
  });

  it('prints plain lines and the exact command that answers, then follows to the end', async () => {
    const id = await start('approve');
    const written = { stdout: '', stderr: '' };
    const watching = runCli(['watch', id], { env: { TEMPORAL_ADDRESS: temporal.address }, written });
    while (!written.stdout.includes('runbooks approve'))
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await cli('approve', id, '--plan', PLAN, '--by', 'sam')).code).toBe(0);
    const { code, stdout } = await watching;
    expect(code).toBe(0);
    expect(stdout).toContain(`runbooks approve ${id} --plan ${PLAN}`);
    expect(stdout).toContain('approve by sam');
    expect(stdout.match(/^Plan .*\n {2}! rewrites a table\n.*ACTION.*\n.*apply migration.*$/gm)).toHaveLength(
      1,
    );
    expect(stdout.indexOf('! rewrites')).toBeLessThan(stdout.indexOf('runbooks approve'));
    expect(stdout).not.toContain('\u001b');
  });
});

describe('answering', () => {
  it('shows what a run waits for, alone and in the list', async () => {
    const id = await start('approve');
    const text = await waitingIn(id);
    expect(text).toContain(`runbooks approve ${id} --plan ${PLAN}`);
    expect(text).toContain('rewrites a table');
    const { stdout } = await cli('status');
    expect(stdout).toContain(id);
    expect(stdout).toContain('waits for a person');
    await cli('reject', id, '--by', 'sam');
  });

  it('never approves without the hash where nobody can be asked, and shows the plan', async () => {
    const id = await start('approve');
    await waitingIn(id);
    const { code, stderr } = await cli('approve', id, '--by', 'sam');
    expect(code).toBe(2);
    expect(stderr).toContain('nothing was approved');
    expect(stderr).toContain(`runbooks approve ${id} --plan ${PLAN}`);
    expect(JSON.parse((await cli('--json', 'status', id)).stdout)).toMatchObject({
      approvals: [],
      waiting: [{ id: PLAN }],
    });
    await cli('reject', id, '--by', 'sam');
  });

  it('passes on the reason when the run refuses', async () => {
    const id = await start('approve');
    await waitingIn(id);
    const { code, stderr } = await cli('approve', id, '--plan', 'wrong', '--by', 'sam');
    expect(code).toBe(2);
    expect(stderr).toContain('"wrong" is not what this run waits for');
    await cli('reject', id, '--by', 'sam');
  });

  it('rejects the open plan without its hash', async () => {
    const id = await start('approve');
    await waitingIn(id);
    expect((await cli('reject', id, '--by', 'sam', '--note', 'not today')).code).toBe(0);
    expect((await cli('watch', id)).code).toBe(1);
  });

  it('decides only with a choice, and shows the choices without', async () => {
    const id = await start('decide');
    await waitingIn(id);
    const without = await cli('decide', id, '--by', 'sam');
    expect(without.code).toBe(2);
    expect(without.stderr).toContain('--choice drop');
    expect((await cli('decide', id, '--choice', 'drop', '--by', 'sam')).code).toBe(0);
    expect((await cli('watch', id)).stdout).toContain('chose drop');
  });

  it('reports a task as done, and notes', async () => {
    const id = await start('task');
    await waitingIn(id);
    expect((await cli('note', id, 'called', 'the', 'provider', '--by', 'sam')).stdout).toContain(
      'note by sam taken',
    );
    expect((await cli('done', id, '--by', 'sam')).code).toBe(0);
    const { stdout } = await cli('watch', id);
    expect(stdout).toContain('called the provider');
  });

  it('says that a run waits for nothing of that kind', async () => {
    const id = await start('task');
    await waitingIn(id);
    const { code, stderr } = await cli('approve', id, '--by', 'sam');
    expect(code).toBe(2);
    expect(stderr).toContain('waits for no approval now');
    await cli('done', id);
  });

  it('says that a run has ended, or does not exist', async () => {
    const id = await start('succeed');
    await cli('watch', id);
    const ended = await cli('done', id, '--task', 't1');
    expect([ended.code, ended.stderr.includes('has ended')]).toEqual([2, true]);
    for (const args of [
      ['approve', 'no-such-run', '--plan', 'x'],
      ['watch', 'no-such-run'],
      ['report', 'no-such-run'],
      ['cancel', 'no-such-run'],
    ]) {
      expect([args[0], (await cli(...args)).code]).toEqual([args[0], 5]);
    }
  });
});

describe('cancelling, pausing and the guard', () => {
  it('asks for the cancellation and notes the reason', async () => {
    const id = await start('wait');
    const { code, stdout } = await cli('cancel', id, '--reason', 'wrong service', '--by', 'sam');
    expect([code, stdout.includes('asked for')]).toEqual([0, true]);
    const watched = await cli('watch', id);
    expect(watched.code).toBe(1);
    expect((await cli('report', id)).stdout).toContain('cancellation asked for: wrong service');
  });

  it('lists what has ended, and how', async () => {
    const id = await start('succeed');
    await cli('watch', id);
    let runs: { workflowId: string; outcome: string; endedAt: string }[] = [];
    // Visibility comes a moment later.
    for (let round = 0; round < 100 && !runs.some(({ workflowId }) => workflowId === id); round += 1)
      runs = JSON.parse((await cli('status', '--ended', '--json')).stdout) as typeof runs;
    expect(runs.find(({ workflowId }) => workflowId === id)).toMatchObject({
      outcome: 'SUCCEEDED',
      endedAt: expect.stringMatching(/^20.*Z$/),
    });
    expect((await cli('status', '--ended')).stdout).toContain(id);
  });

  it('pauses, shows who and why, and resumes', async () => {
    expect((await cli('guard', 'booking/none')).code).toBe(5);
    expect((await cli('pause', '--reason', 'provider outage', '--by', 'sam')).code).toBe(0);
    expect((await cli('guard')).stdout).toMatch(/paused\s+by sam at .* UTC: provider outage/);
    expect((await cli('resume', '--reason', 'over', '--by', 'sam')).code).toBe(0);
    expect(JSON.parse((await cli('--json', 'guard')).stdout)).toMatchObject({ target: 'all', paused: null });
  });

  it('shows a target as paused by what it lies in', async () => {
    const guarded = () => cli('guard', 'cinema/production', '--json');
    await cli('pause', '--target', 'cinema/production', '--reason', 'begin', '--by', 'sam');
    await cli('resume', '--target', 'cinema/production', '--reason', 'begin', '--by', 'sam');
    expect(JSON.parse((await guarded()).stdout)).toMatchObject({ paused: null, pausedAbove: [] });
    await cli('pause', '--target', 'cinema', '--reason', 'bad release', '--by', 'sam');
    await cli('pause', '--reason', 'provider outage', '--by', 'ana');
    try {
      expect((await cli('guard', 'cinema/production')).stdout).toMatch(
        /paused +by ana at .* UTC, everything: provider outage\n +by sam at .* UTC, all of cinema: bad release\n/,
      );
      expect(JSON.parse((await guarded()).stdout)).toMatchObject({
        paused: null,
        pausedAbove: [{ target: 'all' }, { target: 'cinema', by: 'sam' }],
      });
      expect(await cli('guard', 'cinema/none')).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(
          /no guard of cinema\/none yet.* It is paused by ana at .*everything/,
        ) as string,
      });
    } finally {
      await cli('resume', '--reason', 'over');
      await cli('resume', '--target', 'cinema', '--reason', 'over');
    }
  });

  it('shows what the breaker of a service has against its automation, and lets a person change it with a name and a reason', async () => {
    const workflowId = await start('wait');
    const admission = {
      workflowId,
      runId: (await standIns.client.workflow.getHandle(workflowId).describe()).runId,
      runbook: 'relieveConnectionPool',
      fingerprint: 'pool',
      mode: 'auto',
      limits: { windowMs: 3_600_000, maxRecurrences: 3, cooldownMs: 0, flapLimit: 5, maxConcurrent: 3 },
      rank: 5,
      place: null,
      again: false,
    };
    const { workflow } = standIns.client;
    const guard = await workflow.signalWithStart('guard', {
      workflowId: 'guard/shop',
      taskQueue: 'runbooks',
      args: [{ target: 'shop' }],
      signal: 'admit',
      signalArgs: [admission],
    });
    expect((await cli('guard', 'shop')).stdout).toContain(admission.workflowId);
    await guard.signal('ended', { ...admission, outcome: 'NEEDS_HUMAN' });
    expect((await cli('guard', 'shop')).stdout).toMatch(
      /ladder\s+relieveConnectionPool up to observe, by breaker .*NEEDS_HUMAN/,
    );
    const raise = ['guard', 'shop', '--ladder', 'relieveConnectionPool', '--by', 'sam'];
    expect((await cli(...raise, '--mode', 'auto')).stderr).toContain('Say why');
    expect((await cli(...raise, '--reason', 'mended')).stderr).toContain('Up to which mode?');
    const refused = await cli(...raise, '--mode', 'yolo', '--reason', 'mended');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('"mode" must be one of')]);
    const done = await cli(...raise, '--mode', 'auto', '--reason', 'mended');
    expect(done.code).toBe(0);
    expect(done.stdout).not.toMatch(/ladder\s+relieve/);
    expect(done.stdout).toMatch(/change\s+.* relieveConnectionPool may go up to auto by sam: mended/);
    expect((await cli('guard', 'shop', '--reset', 'relieveConnectionPool', '--reason', 'over')).code).toBe(0);
  });

  it('needs no sound configuration for the kill switch, and says which server it means', async () => {
    const file = join(folder.path, 'broken.yaml');
    writeFileSync(file, `temporal:\n  address: ${temporal.address}\nservices:\n\tbooking: {}\n`);
    const broken = (...args: string[]) =>
      runCli(['--config', file, ...args], { cwd: folder.path, env: { TEMPORAL_ADDRESS: '127.0.0.1:1' } });
    const paused = await broken('pause', '--reason', 'stop', '--by', 'sam', '--quiet');
    expect([paused.code, paused.stdout]).toEqual([0, expect.stringContaining('Paused')]);
    expect(paused.stderr).toMatch(/broken\.yaml has 1 problem.*\n.*line 4.*\n.*Going on without it/);
    expect(paused.stderr).toContain(`Temporal at ${temporal.address}, namespace default`);
    expect((await broken('guard')).stdout).toMatch(/paused\s+by sam/);
    const id = await start('wait');
    expect((await broken('status')).stdout).toContain(id);
    expect((await broken('status')).stdout).not.toContain('guard/all');
    expect((await broken('resume', '--reason', 'over')).code).toBe(0);
    // Unreadable altogether: the flags say where.
    writeFileSync(file, '\t{');
    const flags = ['--address', temporal.address, '--namespace', 'default'];
    expect((await broken('pause', '--reason', 'stop', ...flags)).code).toBe(0);
    expect((await broken('resume', '--reason', 'over', ...flags)).code).toBe(0);
    expect((await broken('pause', '--reason', 'stop')).code).toBe(4);
    expect((await broken('check')).code).toBe(2);
  });

  it('refuses to pause what nobody knows, names the nearest, and says what a pause covers', async () => {
    const database = "{ url: x, identity: { systemIdentifier: '0000000000', database: booking } }";
    const file = join(folder.path, 'booking.yaml');
    writeFileSync(
      file,
      `services: { booking: { environments: { production: { database: ${database} }, staging: { database: ${database} } } } }`,
    );
    const pause = (target: string) =>
      cli('--config', file, 'pause', '--target', target, '--reason', 'release', '--by', 'sam');
    const unknown = await pause('bookng');
    expect([unknown.code, unknown.stdout]).toEqual([5, '']);
    expect(unknown.stderr).toMatch(/no target "bookng"; nothing was done.*did you mean "booking"/);
    expect((await cli('--config', file, 'guard', 'booking/prodution')).stderr).toContain(
      'did you mean "booking/production"?',
    );
    const service = await pause('booking');
    expect([service.code, service.stdout]).toEqual([
      0,
      expect.stringMatching(
        /on booking \(with booking\/production and booking\/staging\) until `runbooks resume --target booking --reason "..."`/,
      ),
    ]);
    // Leased by a runbook of somebody's: known to the server alone.
    await cli('pause', '--target', 'queue/mail', '--reason', 'release');
    expect((await pause('queue/mail')).code).toBe(0);
    const blind = await cli('pause', '--target', 'nobody/knows', '--reason', 'release');
    expect([blind.code, blind.stderr]).toEqual([0, expect.stringContaining('cannot be told')]);
    const never = await cli('resume', '--target', 'never/paused', '--reason', 'over');
    expect([never.code, never.stderr]).toEqual([
      5,
      expect.stringContaining('Nobody has paused never/paused'),
    ]);
  });

  it('frees a lease that a run kept for a person, with a name and a reason', async () => {
    const workflowId = await start('wait');
    const { workflow } = standIns.client;
    const { runId } = await workflow.getHandle(workflowId).describe();
    const guard = await workflow.signalWithStart('guard', {
      workflowId: 'guard/shop/production',
      taskQueue: 'runbooks',
      args: [{ target: 'shop/production' }],
      signal: 'request',
      signalArgs: [{ workflowId, runId, runbook: 'x', atLeast: 0, rank: 1 }],
    });
    const free = (...more: string[]) => cli('guard', 'shop/production', '--free', '--by', 'sam', ...more);
    expect((await free()).stderr).toContain('Say why');
    expect(await free('--reason', 'mended')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no run that needs a person keeps the lease'),
    });
    await guard.signal('keep', { workflowId, runId, why: 'the disk is full' });
    expect((await cli('guard', 'shop/production')).stdout).toContain('needs a person: the disk is full');
    expect((await free('--reason', 'mended')).stdout).toMatch(/holder\s+nobody/);
  });

  it('pauses one target', async () => {
    await cli('pause', '--target', 'booking/production', '--reason', 'release', '--by', 'sam');
    expect(JSON.parse((await cli('guard', 'booking/production', '--json')).stdout)).toMatchObject({
      paused: { by: 'sam', reason: 'release' },
    });
  });
});

describe('reporting', () => {
  it('writes Markdown to standard output and a page to a file', async () => {
    const id = await start('flaky');
    await cli('watch', id);
    const text = await cli('report', id);
    expect(text.stdout).toContain('**SUCCEEDED**');
    const out = join(folder.path, 'report.html');
    expect((await cli('report', id, '--html', '--out', out)).code).toBe(0);
    expect(readFileSync(out, 'utf8')).toMatch(/^<!doctype html>[\s\S]*Content-Security-Policy/);
    expect((await cli('report', id, '--out', '/does/not/exist/r.md')).code).toBe(2);
  });

  it('adds to the run report what only its history knows, without a password', async () => {
    const id = await start('flaky');
    await cli('watch', id);
    const { stdout } = await cli('--json', 'report', id);
    const report = JSON.parse(stdout) as HistoryReport;
    expect(report.history.toldByRun).toBe(true);
    expect(
      report.history.activities.some(
        ({ attempts, failure }) => attempts > 1 && failure?.includes('was lost'),
      ),
    ).toBe(true);
    expect(stdout).not.toContain('hunter2');
  });

  it('tells of any other workflow from its events', async () => {
    await standIns.client.workflow.execute('foreignJob', {
      workflowId: 'foreign',
      taskQueue: 'runbooks',
      args: [{ password: 'hunter2hunter2' }],
    });
    const { code, stdout } = await cli('report', 'foreign');
    expect(code).toBe(0);
    expect(stdout).toContain('it left no report of its own');
    expect(stdout).not.toContain('hunter2');
  });

  it('tells of a running run what it waits for', async () => {
    const id = await start('approve');
    await waitingIn(id);
    expect((await cli('report', id)).stdout).toContain('Waits for a person');
    await cli('reject', id);
  });
});

// Last: it takes the worker away.
describe('without a worker', () => {
  it('says so instead of hanging, and still tells what the history knows', async () => {
    const id = await start('approve');
    await waitingIn(id);
    await standIns.stop();
    const status = await cli('status', id);
    expect(status.stdout).toContain('No worker answers');
    const approve = await cli('approve', id, '--by', 'sam');
    expect(approve.code).toBe(4);
    expect(approve.stderr).toContain('runbooks worker');
    const started = await cli('start', 'migrateDatabase', '--service', 'booking', '--id', 'unserved');
    expect(started.code).toBe(0);
    standIns = await startStandIns(temporal.address);
  });
});

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HistoryReport } from '../../src/contract/run-history';
import { runCli, spawnCli } from './harness';
import { useStandIns } from './stand-ins';

const PLAN = 'abc123def456';
const { cli, start, waitingIn, withoutWorker, folder, temporal, client } = useStandIns();

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
    const { staticSummary, type } = await client.workflow.getHandle('given').describe();
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
    await client.workflow.execute('foreignJob', {
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

describe('without a worker', () => {
  it('says so instead of hanging, and still tells what the history knows', async () => {
    const id = await start('approve');
    await waitingIn(id);
    await withoutWorker(async () => {
      const status = await cli('status', id);
      expect(status.stdout).toContain('No worker answers');
      const approve = await cli('approve', id, '--by', 'sam');
      expect(approve.code).toBe(4);
      expect(approve.stderr).toContain('runbooks worker');
      const started = await cli('start', 'migrateDatabase', '--service', 'booking', '--id', 'unserved');
      expect(started.code).toBe(0);
    });
  });
});

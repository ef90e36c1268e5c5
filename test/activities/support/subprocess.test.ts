import { randomUUID } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runConfiguredCommand } from '../../../src/activities/support/configured-command';
import type { ActivityDeps } from '../../../src/activities/support/deps';
import { runCommand } from '../../../src/activities/support/subprocess';
import { commandLock, makeWorkspace, sweepWorkspaces } from '../../../src/activities/support/workspace';
import { startOf } from '../../../src/host/file-lock';
import { commandSchema } from '../../../src/config/primitives';
import { failureOf, runActivity, startActivity, until } from '../../support/postgres';

const sh = (script: string, more: object = {}) => ({ program: '/bin/sh', args: ['-c', script], ...more });
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('gives output, error output, exit code and every line', async () => {
  const lines: string[] = [];
  const result = await runCommand(
    sh('echo one; echo two >&2; exit 3', {
      onLine: (line: string, stream: string) => lines.push(`${stream} ${line}`),
    }),
  );
  expect(result).toMatchObject({ exitCode: 3, stdout: 'one\n', stderr: 'two\n' });
  expect(lines.sort()).toEqual(['stderr two', 'stdout one']);
});

test('the child sees no secret of the worker', async () => {
  process.env['SECRET_OF_THE_WORKER'] = 'x';
  const { stdout } = await runCommand(sh('env'));
  delete process.env['SECRET_OF_THE_WORKER'];
  expect(stdout).toMatch(/^PATH=/m);
  expect(stdout).not.toContain('SECRET_OF_THE_WORKER');
});

test('a program that is not there is named', async () => {
  const failure = await failureOf(runCommand({ program: '/nowhere/pg_dump', args: [] }));
  expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: true });
  expect(failure.message).toContain('/nowhere/pg_dump');
});

test('a program that takes too long is stopped with everything it started', async () => {
  let child = 0;
  const command = sh('sleep 60 & echo $!; wait', {
    timeoutMs: 300,
    onLine: (line: string) => (child = Number(line)),
  });
  expect((await failureOf(runCommand(command))).message).toContain('longer than 0.3 s');
  await until(() => !alive(child));
});

test('an exit that has happened wins over a timer that comes too late', async () => {
  const running = runCommand(sh('echo done', { timeoutMs: 100 }));
  await new Promise((resolve) => setImmediate(resolve));
  // As in a freeze of the worker.
  for (const until = Date.now() + 400; Date.now() < until;);
  expect(await running).toMatchObject({ exitCode: 0, stdout: 'done\n' });
});

test('temporary folders of killed workers are swept, those of living ones are not', async () => {
  const { pid } = spawnSync('true');
  const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
  const made = async (owner: string, hours: number) => {
    const path = mkdtempSync(join(tmpdir(), `durable-runbooks-${owner}`));
    writeFileSync(join(path, 'list'), '');
    utimesSync(path, hoursAgo(hours), hoursAgo(hours));
    return path;
  };
  const kept = [await makeWorkspace(), await made(`${process.pid}-`, 2), await made(`${pid}-`, 0)];
  const gone = [await made(`${pid}-`, 2), await made('', 25)];
  await sweepWorkspaces();
  expect(kept.map((path) => existsSync(path))).toEqual([true, true, true]);
  expect(gone.map((path) => existsSync(path))).toEqual([false, false]);
  kept.forEach((path) => rmSync(path, { recursive: true }));
});

test('locks of commands whose worker was killed are swept, those of living ones are not, however old', async () => {
  const { pid } = spawnSync('true');
  const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
  const made = async (holder: number, hours: number, draft = '') => {
    const path = `${commandLock(`${randomUUID()}`)}${draft}`;
    const startedAt = (await startOf(holder)) ?? 'before';
    writeFileSync(path, JSON.stringify({ id: randomUUID(), pid: holder, startedAt }));
    utimesSync(path, hoursAgo(hours), hoursAgo(hours));
    return path;
  };
  const kept = [await made(process.pid, 48), await made(pid, 0)];
  const gone = [await made(pid, 2), await made(pid, 2, `.${randomUUID()}`)];
  await sweepWorkspaces();
  expect(kept.map((path) => existsSync(path))).toEqual([true, true]);
  expect(gone.map((path) => existsSync(path))).toEqual([false, false]);
  kept.forEach((path) => rmSync(path));
});

test('cancellation kills the whole group, also when it ignores SIGTERM', async () => {
  const pids: number[] = [];
  const script = `trap '' TERM; sh -c 'trap "" TERM; echo $$; while :; do sleep 0.1; done' & echo $$; wait; sleep 60`;
  const run = startActivity(
    () => runCommand(sh(script, { onLine: (line: string) => pids.push(Number(line)) })),
    undefined,
  );
  await until(() => pids.length === 2);
  run.cancel();
  expect((await failureOf(run.result)).name).toBe('CancelledFailure');
  await until(() => !pids.some(alive));
});

test('nothing is started once the activity is cancelled', async () => {
  const run = startActivity(async () => {
    await Promise.resolve();
    run.cancel();
    return runCommand(sh('echo started'));
  }, undefined);
  expect((await failureOf(run.result)).name).toBe('CancelledFailure');
});

test('a megabyte of error output keeps its end', async () => {
  const { stderr } = await runCommand(
    sh(
      'i=0; while [ $i -lt 20000 ]; do echo "line $i of much error output, padded" >&2; i=$((i+1)); done; echo last >&2',
    ),
  );
  expect(stderr.length).toBeLessThanOrEqual(16 * 1024);
  expect(stderr.endsWith('last\n')).toBe(true);
});

test('standard input is empty unless given', async () => {
  expect((await runActivity(() => runCommand(sh('cat')), undefined)).stdout).toBe('');
  expect((await runCommand(sh('cat', { input: 'hello\n' }))).stdout).toBe('hello\n');
});

/** Another process that runs a program as a worker does, to be killed. Its output is that of the program. */
async function workerWith(script: string, more: object = {}) {
  const root = join(__dirname, '..', '..', '..');
  const run = `require(${JSON.stringify(join(root, 'src/activities/support/subprocess.ts'))}).runCommand({
    ...${JSON.stringify(sh(script, more))}, onLine: (line) => console.log(line) }).catch(console.error)`;
  const worker = spawn(process.execPath, ['-r', join(root, 'test/cli/register.cjs'), '-e', run], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  worker.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    worker,
    numbers: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map(Number),
  };
}

test('a worker that is killed takes its programs with it, and all that they started, stubborn or not', async () => {
  const script = `trap '' TERM; sh -c 'trap "" TERM HUP; echo $$; while :; do sleep 0.1; done' & echo $$; wait; sleep 60`;
  const { worker, numbers } = await workerWith(script);
  await until(() => numbers().length === 2);
  expect(numbers().every(alive)).toBe(true);
  worker.kill('SIGKILL');
  await until(() => !numbers().some(alive), 3_000);
});

test('what a program leaves running on purpose outlives it, and no watcher stays', async () => {
  const { stdout } = await runCommand(sh('sleep 60 >/dev/null 2>&1 & echo $! $$'));
  const [left = 0, group = 0] = stdout.trim().split(' ').map(Number);
  const members = () =>
    spawnSync('ps', ['-e', '-o', 'pid=,pgid='])
      .stdout.toString()
      .split('\n')
      .map((line) => line.trim().split(/ +/).map(Number))
      .filter(([, of]) => of === group)
      .map(([pid]) => pid);
  await until(() => members().join() === String(left), 3_000);
  process.kill(left, 'SIGKILL');
});

test.each([126, 127])('a program that itself ends with %i is one that was started', async (code) => {
  expect(await runCommand(sh(`exit ${code}`))).toMatchObject({ exitCode: code });
});

test('a configured command never runs twice at once: a second attempt waits for the end of the first', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'attempts-'));
  const log = () => (existsSync(join(directory, 'log')) ? readFileSync(join(directory, 'log'), 'utf8') : '');
  const script = `trap 'sleep 0.5; echo stopped >>log; exit 1' TERM; echo begun >>log; sleep 1 & wait; echo done >>log`;
  const command = commandSchema.parse({ run: ['/bin/sh', '-c', script], directory });
  const deps = { config: { directory } } as ActivityDeps;
  const attempt = (number: number) =>
    startActivity(() => runConfiguredCommand(deps, command), undefined, { attempt: number });
  const first = attempt(1);
  await until(() => log() === 'begun\n');
  const second = attempt(2);
  // As when Temporal was away for too long: it gave up the first attempt, which hears of it only now.
  first.cancel();
  await second.result;
  expect(log()).toBe('begun\nstopped\nbegun\ndone\n');
  rmSync(directory, { recursive: true });
});

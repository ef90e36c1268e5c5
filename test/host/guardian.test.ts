import { transformFile } from '@swc/core';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort, spawnGuarded } from '../../src/host/guardian';

const directory = mkdtempSync(join(tmpdir(), 'guardian-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(pid: number, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (alive(pid) && Date.now() < deadline) await wait(50);
  return !alive(pid);
}

/** Another Node process that starts `sleep` under the guardian and prints its process ID. */
async function parentWith(program: string, args: string[], graceSeconds: number) {
  const script = join(directory, 'parent.js');
  // The test transform is used, so that the parent runs today's source and not yesterday's build.
  const { code } = await transformFile(resolve(__dirname, '../../src/host/guardian.ts'), {
    module: { type: 'commonjs' },
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
  });
  writeFileSync(join(directory, 'guardian.js'), code);
  const options = JSON.stringify({ program, args, graceSeconds, logFile: join(directory, 'child.log') });
  writeFileSync(
    script,
    `require('./guardian.js').spawnGuarded(${options}).then((child) => console.log(child.pid)); setInterval(() => {}, 1000);`,
  );
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((done) =>
    parent.stdout.once('data', (text: Buffer) => done(Number(text))),
  );
  return { parent, pid };
}

describe('a guarded program', () => {
  test('stops when its parent is killed with SIGKILL', async () => {
    const { parent, pid } = await parentWith('sleep', ['300'], 5);
    expect(alive(pid)).toBe(true);
    parent.kill('SIGKILL');
    expect(await gone(pid, 3_000)).toBe(true);
  });

  test('is killed after the grace time when it ignores the signal', async () => {
    const { parent, pid } = await parentWith('sh', ['-c', "trap '' TERM; while :; do sleep 0.2; done"], 1);
    await wait(200); // it needs a moment to set its trap
    parent.kill('SIGKILL');
    await wait(500);
    expect(alive(pid)).toBe(true);
    expect(await gone(pid, 5_000)).toBe(true);
  });

  test('stops when its parent ends in the ordinary way', async () => {
    const { parent, pid } = await parentWith('sleep', ['300'], 5);
    parent.kill('SIGTERM');
    expect(await gone(pid, 3_000)).toBe(true);
  });

  test('reports its process ID and exit status, and its output goes to the log', async () => {
    const logFile = join(directory, 'status.log');
    const child = await spawnGuarded({ program: 'sh', args: ['-c', 'echo "$$"; exit 7'], logFile });
    expect(await child.exited).toBe(7);
    expect(child.running()).toBe(false);
    expect(Number(readFileSync(logFile, 'utf8'))).toBe(child.pid);
  });

  test('stop() sends the chosen signal and waits for the end', async () => {
    const logFile = join(directory, 'signal.log');
    // A shell starts its background jobs with INT ignored; a program with a handler of its own must still get it.
    const program = `process.on('SIGINT', () => { console.log('interrupted'); process.exit(3); });
      console.log('ready'); setInterval(() => {}, 1000)`;
    const child = await spawnGuarded({
      program: process.execPath,
      args: ['-e', program],
      logFile,
      stopSignal: 'INT',
    });
    while (!readFileSync(logFile, 'utf8').includes('ready')) await wait(20);
    await child.stop();
    expect(readFileSync(logFile, 'utf8')).toContain('interrupted');
    expect(await child.exited).toBe(3);
  });

  test('kill() ends it like a crash', async () => {
    const child = await spawnGuarded({
      program: 'sleep',
      args: ['300'],
      logFile: join(directory, 'kill.log'),
    });
    await child.kill();
    expect(alive(child.pid)).toBe(false);
    expect(await child.exited).toBe(137);
  });

  test('a missing program ends with status 127 and says so in the log', async () => {
    const logFile = join(directory, 'missing.log');
    const child = await spawnGuarded({ program: 'no-such-program-here', args: [], logFile });
    expect(await child.exited).toBe(127);
    expect(readFileSync(logFile, 'utf8')).toContain('no-such-program-here');
  });
});

test('a free port can be listened on and nobody answers there', async () => {
  const port = await freePort();
  const refused = await new Promise<string>((done) => {
    connect({ host: '127.0.0.1', port }).once('error', (error: NodeJS.ErrnoException) =>
      done(error.code ?? ''),
    );
  });
  expect(refused).toBe('ECONNREFUSED');
});

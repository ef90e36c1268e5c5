import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { request } from 'undici';
import { cachePath } from '../src/host/cache';
import { freePort } from '../src/host/guardian';
import { openAlertBench } from './alerts';
import { sendSteadily } from './alert-load';
import { round, say, timed, type Results } from './measure';
import { endProgram } from './program';

const PACKAGES = ['ansible-rulebook==1.3.2', 'ansible-core==2.19.14'];
const BURST = 30;
/** A look at a database with nothing to do: as little as a playbook of one task. */
const RUNBOOK = 'relieveConnectionPool';
const DEADLINE_MS = 10 * 60_000;

/** A burst of alerts until all of them have run, against Ansible's event-driven rulebooks doing one task for each. */
export async function measureAgainstAnsible(): Promise<Results> {
  const theirs = await inTurn(['parallel', 'sequential'], measureAnsible);
  const best = theirs.reduce((one, other) => (other.seconds < one.seconds ? other : one));
  const ours = await measureOurs();
  return {
    'alerts.vsAnsibleRulebook': {
      value: round(best.seconds / ours.seconds, 1),
      unit: 'times as fast',
      baseline: round(best.seconds, 1),
      note: `goal >= 10. ${BURST} alerts at once until all have run: ${round(ours.seconds, 2)} s for ${BURST} runs of ${RUNBOOK}, each admitted by the breaker, looking at the connections and finding nothing to do; ansible-rulebook with its webhook source and a playbook of one shell task: ${theirs.map(({ strategy, seconds, accepted }) => `${strategy} ${round(seconds, 1)} s (accepted after ${round(accepted, 1)} s)`).join(', ')}; baseline in seconds`,
    },
  };
}

async function inTurn<A, R>(items: A[], measure: (item: A) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await measure(item));
  return results;
}

async function measureOurs(): Promise<{ seconds: number }> {
  const { bench, target, stop } = await openAlertBench(true, RUNBOOK);
  try {
    // Its first run loads the code, as the rulebook's start does.
    await sendSteadily(target, 1, { total: 1 }, () => 'first');
    await untilRun(bench.client, 1);
    return await timed(async () => {
      await sendSteadily(target, BURST, { total: BURST }, (index) => `burst-${index}`);
      await untilRun(bench.client, BURST + 1);
    });
  } finally {
    await stop();
  }
}

async function untilRun(
  client: Awaited<ReturnType<typeof openAlertBench>>['bench']['client'],
  wanted: number,
): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const { count } = await client.workflow.count(
      `WorkflowType = '${RUNBOOK}' AND ExecutionStatus != 'Running'`,
    );
    if (count >= wanted) return;
    if (Date.now() > deadline) throw new Error(`${count} of ${wanted} runs ended`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function measureAnsible(
  strategy: string,
): Promise<{ strategy: string; seconds: number; accepted: number }> {
  const bin = await obtainAnsible();
  const folder = mkdtempSync(join(tmpdir(), 'rulebook-'));
  const port = await freePort();
  const done = join(folder, 'done');
  writeRulebook(folder, strategy, port, done);
  const rulebook = spawn(join(bin, 'ansible-rulebook'), ['--rulebook', 'rules.yml', '-i', 'inventory.yml'], {
    cwd: folder,
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
    stdio: 'ignore',
  });
  const post = async (id: string): Promise<void> => {
    const { body } = await request(`http://127.0.0.1:${port}/endpoint`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id }),
    });
    await body.dump();
  };
  try {
    await untilListening(port);
    await post('first');
    await untilLines(done, 1);
    let accepted = 0;
    const { seconds } = await timed(async () => {
      const sent = await timed(() =>
        Promise.all(Array.from({ length: BURST }, (_, id) => post(`burst-${id}`))),
      );
      accepted = sent.seconds;
      await untilLines(done, BURST + 1);
    });
    say(`ansible-rulebook, ${strategy}: ${round(seconds, 1)} s`);
    return { strategy, seconds, accepted };
  } finally {
    await endProgram(rulebook);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A virtual environment of its own in the cache. Needs Python 3 and Java 17. */
async function obtainAnsible(): Promise<string> {
  const folder = cachePath(`bench-${PACKAGES.join('-').replace(/[^\w.-]+/g, '-')}`);
  const bin = join(folder, 'bin');
  if (existsSync(join(bin, 'complete'))) return bin;
  say('installing ansible-rulebook into the cache');
  mkdirSync(folder, { recursive: true });
  await promisify(execFile)('python3', ['-m', 'venv', folder]);
  await promisify(execFile)(join(bin, 'pip'), ['install', '-q', ...PACKAGES], { maxBuffer: 1e8 });
  writeFileSync(join(bin, 'complete'), '');
  return bin;
}

function writeRulebook(folder: string, strategy: string, port: number, done: string): void {
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write(
    'rules.yml',
    `- name: alerts
  hosts: all
  execution_strategy: ${strategy}
  sources:
    - eda.builtin.webhook: { host: 127.0.0.1, port: ${port} }
  rules:
    - name: run
      condition: event.payload.id is defined
      action:
        run_playbook: { name: play.yml }
`,
  );
  write(
    'play.yml',
    `- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: echo {{ ansible_eda.event.payload.id }} >> ${done}
`,
  );
  write(
    'inventory.yml',
    'all: { hosts: { localhost: { ansible_connection: local, ansible_python_interpreter: /usr/bin/python3 } } }\n',
  );
}

async function untilListening(port: number): Promise<void> {
  await until(`nothing listens on port ${port}`, async () => {
    const socket = createConnection({ host: '127.0.0.1', port });
    return new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    }).finally(() => socket.destroy());
  });
}

async function untilLines(file: string, wanted: number): Promise<void> {
  const lines = (): number => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0);
  await until(`fewer than ${wanted} playbooks ran`, async () => lines() >= wanted);
}

async function until(problem: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(problem);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

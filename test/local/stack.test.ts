import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataPath } from '../../src/host/cache';
import { example } from '../../examples/booking/example';
import { createStack } from '../../src/local/stack';
import { PACKAGE_ROOT } from '../../src/config/version';

const parent = dataPath('stacks');

it('the folder of a stack whose process is gone is removed by the next one, that of a living one is not', async () => {
  const [dead, alive, unknown] = ['dead', 'alive', 'unknown'].map((name) =>
    join(parent, `stack-test-${name}`),
  ) as [string, string, string];
  for (const folder of [dead, alive, unknown]) mkdirSync(folder, { recursive: true });
  const gone = spawn('true');
  await new Promise((resolve) => gone.once('exit', resolve));
  writeFileSync(join(dead, 'owner.pid'), String(gone.pid));
  writeFileSync(join(alive, 'owner.pid'), String(process.pid));
  const { stop } = createStack(example);
  expect([existsSync(dead), existsSync(alive), existsSync(unknown)]).toEqual([false, true, true]);
  await stop();
  for (const folder of [alive, unknown]) rmSync(folder, { recursive: true });
});

it('two interrupts in a row, as npm sends them, still stop everything and leave nothing behind', async () => {
  const child = spawn(process.execPath, [join(PACKAGE_ROOT, 'dist/src/cli/main.js'), 'up'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('Ctrl-C stops everything')) resolve();
    });
    child.once('exit', () => reject(new Error(text)));
  });
  const owned = readdirSync(parent).filter((name) => {
    const file = join(parent, name, 'owner.pid');
    return existsSync(file) && readFileSync(file, 'utf8') === String(child.pid);
  });
  expect(owned).toHaveLength(1);
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
  child.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
  expect(existsSync(join(parent, owned[0]!))).toBe(false);
});

import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { freePort } from '../../src/host/guardian';
import { isListening } from '../../src/host/listening';
import { runCli, temporaryFolder } from '../cli/harness';

const ROOT = resolve(__dirname, '../..');
const folder = temporaryFolder();
afterAll(() => folder.remove());

function configure(temporal: object): string {
  const file = join(folder.path, 'runbooks.yaml');
  const url = '${env:NOBODY_HAS_SET_THIS}';
  const identity = { systemIdentifier: '7000000000000000000', database: 'shop' };
  const environments = { production: { database: { url, identity } } };
  writeFileSync(file, JSON.stringify({ temporal, services: { shop: { environments } } }));
  return file;
}

it("brings up Temporal where a configuration of one's own expects it, and a worker that takes its runs", async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const file = configure({ address });
  const up = spawn(
    process.execPath,
    ['-r', join(ROOT, 'test/cli/register.cjs'), join(ROOT, 'src/cli/main.ts'), 'up', '--config', file],
    { cwd: ROOT },
  );
  const ended = new Promise<number | null>((settle) => up.on('close', settle));
  let output = '';
  const shown = new Promise<void>((settle) => {
    for (const stream of [up.stdout, up.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
        if (output.includes('Ctrl-C stops it')) settle();
      });
  });
  try {
    await Promise.race([
      shown,
      ended.then((code) => Promise.reject(new Error(`it ended (${code}): ${output}`))),
    ]);
    expect(output).toContain('Worker for shop');
    expect(output).toMatch(/Temporal UI +http:\/\/127\.0\.0\.1:\d+/);
    expect(output).toContain(`runbooks start <runbook> --config ${file} --watch`);

    const connection = await Connection.connect({ address });
    try {
      const run = await new Client({ connection }).workflow.start('checkBackups', {
        workflowId: 'checkBackups/shop/first',
        taskQueue: 'runbooks',
        args: [{ service: 'shop', startedBy: 'ana' }],
      });
      // A worker has taken it: there is nothing that it could have found.
      await expect(run.result()).rejects.toMatchObject({ cause: { type: 'FAILED' } });
    } finally {
      await connection.close();
    }
  } finally {
    up.kill('SIGINT');
  }
  expect(await ended).toBe(0);
  expect(await isListening({ host: '127.0.0.1', port: Number(address.split(':')[1]) })).toBe(false);
});

it.each([
  [
    { address: 'temporal.example.org:7233' },
    'stands at 127.0.0.1 only, and not at temporal.example.org:7233',
  ],
  [{ address: '127.0.0.1:1', namespace: 'prod' }, 'has the namespace default, and not prod'],
  [{ address: '127.0.0.1:1', tls: true }, 'has no TLS'],
])('starts nothing for %j', async (temporal, why) => {
  const file = configure(temporal);
  const { code, stderr } = await runCli(['up', '--config', file]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(why)]);
  expect(stderr).toContain(`\`runbooks worker --config ${file}\``);
});

it('starts nothing where somebody listens already', async () => {
  const other = createServer();
  await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
  const address = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const { code, stderr } = await runCli(['up', '--config', configure({ address })]);
  await new Promise((closed) => other.close(closed));
  expect([code, stderr]).toEqual([2, expect.stringContaining(`somebody listens at ${address} already`)]);
});

it("has no tour of a configuration of one's own", async () => {
  const { code, stderr } = await runCli(['up', '--tour', '--config', configure({ address: '127.0.0.1:1' })]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('leave --config away')]);
});

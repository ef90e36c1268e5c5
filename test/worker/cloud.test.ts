import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { stringify } from 'yaml';
import { createGuardActivities } from '../../src/activities/guard/guard-activities';
import { lazyClient } from '../../src/alerts/lazy-client';
import { bundlePacks } from '../../src/build/bundle-packs';
import type { Project } from '../../src/catalogue/catalogue';
import { loadProject } from '../../src/check/load-project';
import { temporalOptions } from '../../src/config/temporal';
import { PACKAGE_ROOT } from '../../src/config/version';
import { obtainTemporalCli, startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { definePack } from '../../src/packs/definition/pack';
import type { RunStatus } from '../../src/contract/report';
import { startCodecServer } from '../../src/worker/codec-server';
import { startWorker, type RunningWorker } from '../../src/worker/worker';
import { runCli } from '../cli/harness';
import { createAuthority } from '../support/certificates';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { startFront, type Front } from '../support/temporal-front';
import { POLICY } from '../workflows/kit/harness';

quietTemporal();

const API_KEY = 'the-key-of-this-test-only';
const directory = mkdtempSync(join(tmpdir(), 'cloud-'));
let temporal: LocalTemporal;
let front: Front;
let code: string;
let plain: Client;
let file: string;

beforeAll(async () => {
  const { ca, sign } = createAuthority(directory);
  const client = sign('worker.test');
  const files = { 'ca.crt': ca, 'tls.crt': client.certificate, 'tls.key': client.key };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  temporal = await startTemporal({ directory, ephemeral: true, searchAttributes: [] });
  front = await startFront({
    target: temporal.address,
    own: sign('temporal.test'),
    clientAuthority: ca,
    apiKey: API_KEY,
    refused: /OperatorService/,
  });
  plain = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  process.env['CLOUD_API_KEY'] = API_KEY;
  file = write('runbooks.yaml', {});
  const entry = join(directory, 'cloud-entry.cjs');
  const pack = definePack({
    name: 'cloud',
    cards: [],
    entities: ['confess', 'guard'],
    workflows: require.resolve('./workflows'),
    activities: () => ({}),
  });
  code = (await bundlePacks([pack], { entry, context: PACKAGE_ROOT, own: [pack] })).code;
});
afterAll(async () => {
  await plain?.connection.close();
  await front?.close();
  await temporal?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const TLS = {
  serverName: 'temporal.test',
  ca: '${file:ca.crt}',
  certificate: '${file:tls.crt}',
  key: '${file:tls.key}',
};

/** A configuration that reaches the server through what stands before it. */
function write(name: string, more: Record<string, unknown>): string {
  const path = join(directory, name);
  const identity = { systemIdentifier: '0000000000', database: 'booking' };
  const production = { database: { url: 'postgresql://127.0.0.1:1/booking', identity } };
  const reach = { address: front.address, namespace: 'default', apiKey: '${env:CLOUD_API_KEY}', tls: TLS };
  writeFileSync(
    path,
    stringify({ temporal: { ...reach, ...more }, services: { booking: { environments: { production } } } }),
  );
  return path;
}

/** With stand-ins for everything that `confess` needs. */
async function withWorker<T>(config: Project, body: (worker: RunningWorker) => Promise<T>): Promise<T> {
  const { client, close } = lazyClient(config);
  const worker = await startWorker(config, {
    workflowBundle: { code },
    activities: {
      ...createGuardActivities({ config, client }),
      prepare: async ({ input }: { input: object }) => ({ title: 'Stand-in', input, policy: POLICY }),
      announce: async () => ({ told: [], problems: [] }),
      repeat: async ({ word }: { word: string }) => word,
      choke: async ({ word }: { word: string }) => {
        throw ApplicationFailure.nonRetryable(`choked on ${word}`, 'Choked');
      },
    },
  });
  try {
    return await body(worker);
  } finally {
    await worker.stop();
    await close();
  }
}

const codecKey = () => randomBytes(32).toString('base64');
const keys = { CODEC_OLDER: codecKey(), CODEC_NEWER: codecKey() };
const cli = (config: string, ...args: string[]) =>
  runCli(['--config', config, ...args], { env: { ...keys, CLOUD_API_KEY: API_KEY } });

const start = (client: Client, workflowId: string, more: object = {}) =>
  client.workflow.start('confess', {
    workflowId,
    taskQueue: 'runbooks',
    args: [{ service: 'booking', startedBy: 'ana', word: 'tarpaulin', ...more }],
  });

async function listens(handle: WorkflowHandle): Promise<string> {
  let task: string | undefined;
  await until(async () => {
    const status = await handle.query<RunStatus>('status').catch(() => undefined);
    task = status?.waiting.find(({ kind }) => kind === 'task')?.id;
    return task !== undefined;
  });
  return task!;
}

const listened = async (handle: WorkflowHandle): Promise<unknown> =>
  handle.executeUpdate('done', { args: [{ task: await listens(handle), by: 'ben' }] });

describe('a cluster that lets in only certificates and keys, and nobody to its operators’ service', () => {
  it('takes a worker without the search attributes, with the command that registers them; then runs go on', async () => {
    const config = loadProject(file);
    await withWorker(config, async ({ warnings }) => {
      expect(front.turnedAway.some((path) => path.includes('OperatorService'))).toBe(true);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(
        /^the search attributes RunbookService, .* are not registered in namespace default/,
      );
      expect(warnings[0]).toContain(
        '`tcld namespace search-attributes add --namespace default --search-attribute',
      );
      const checks = (await cli(file, '--json', 'check')).stdout;
      expect(checks).toContain('RunbookService, RunbookMode, RunbookWaiting, RunbookOutcome missing');
      const handle = await start(plain, 'waits-for-operators');
      const command =
        /`temporal (operator search-attribute create [^`]+)`/.exec(warnings[0] ?? '')?.[1] ?? '';
      const { path } = await obtainTemporalCli({});
      execFileSync(path, [...command.split(' '), '--address', temporal.address], { stdio: 'pipe' });
      await listened(handle);
      expect((await handle.result()) as object).toMatchObject({ outcome: 'SUCCEEDED' });
    });
  });

  it('takes a worker without a word where they are there, and the intake and the command alike', async () => {
    const config = loadProject(file);
    await withWorker(config, async ({ warnings }) => {
      expect(warnings).toEqual([]);
      const { client, close } = lazyClient(config);
      try {
        await client.withDeadline(Date.now() + 5_000, () => start(client, 'through-the-front'));
      } finally {
        await close();
      }
      const { code: status, stdout } = await cli(file, 'report', 'through-the-front');
      expect([status, stdout]).toEqual([0, expect.stringContaining('Listen to tarpaulin')]);
    });
  });

  it('does not keep a worker for ever that it leaves without an answer', async () => {
    front.silent = /DescribeTaskQueue/;
    try {
      const start = startWorker(loadProject(file), { workflowBundle: { code } }, 1_500);
      await expect(start).rejects.toThrow('did not let the worker start within 1.5 s');
    } finally {
      front.silent = undefined;
    }
  });

  it('takes nobody without what it asks for', async () => {
    const others: Record<string, object> = {
      'no certificate': { tls: { serverName: TLS.serverName, ca: TLS.ca } },
      'no TLS': { tls: false },
      'another API key': { apiKey: 'another' },
      'an authority that nobody knows': { tls: { ...TLS, ca: '${file:tls.crt}' } },
    };
    const results = await Promise.all(
      Object.entries(others).map(async ([what, more], index) => {
        const other = write(`other-${index}.yaml`, more as Record<string, unknown>);
        const [{ code: status, stderr }, worker] = await Promise.all([
          cli(other, 'status'),
          startWorker(loadProject(other), { workflowBundle: { code } }).then(
            () => 'started',
            () => 'refused',
          ),
        ]);
        return [what, status, stderr.includes(front.address), worker];
      }),
    );
    expect(results).toEqual(Object.keys(others).map((what) => [what, 4, true, 'refused']));
  });

  it('is described by what is wrong, never by a secret', async () => {
    const bad = write('bad.yaml', { tls: { certificate: TLS.certificate } });
    expect(() => loadProject(bad)).toThrow(/temporal\.tls: .*a certificate needs its key/s);
    const missing = loadProject(write('missing.yaml', { apiKey: '${env:NOBODY_SET_THIS}' }));
    expect(() => temporalOptions(missing)).toThrow(/\$\{env:NOBODY_SET_THIS\} cannot be resolved/);
  });
});

/** Every text in it, and what is bytes as text: as JSON those would be in base64. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value instanceof Uint8Array) return [Buffer.from(value).toString('latin1')];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, item]) => [name, ...texts(item)]);
}

describe('a codec', () => {
  const codecOf = (...ids: string[]) => ({
    codec: { keys: ids.map((id) => ({ id, secret: `\${env:CODEC_${id.toUpperCase()}}` })) },
  });
  beforeAll(() => Object.assign(process.env, keys));

  /** All that Temporal has of a run, the bytes of payloads as text. */
  const everything = async ({ workflowId }: WorkflowHandle): Promise<string> => {
    const execution = { workflowId };
    const described = await plain.workflowService.describeWorkflowExecution({
      namespace: 'default',
      execution,
    });
    const { events } = await plain.workflow.getHandle(workflowId).fetchHistory();
    return texts([described, events]).join('\n');
  };

  it('leaves nothing to read in Temporal but names, and old keys go on decrypting', async () => {
    const before = loadProject(write('before.yaml', codecOf('older')));
    const after = write('after.yaml', codecOf('newer', 'older'));
    const mine = async (config: Project) => {
      const { connection, client } = temporalOptions(config);
      return new Client({ connection: await Connection.connect(connection), ...client });
    };
    const one = await mine(before);
    const handle = await start(one, 'encrypted', { fails: true });
    // It waits while the keys are changed.
    await withWorker(before, () => listens(handle));
    await one.connection.close();

    const other = await mine(loadProject(after));
    const same = other.workflow.getHandle('encrypted');
    await withWorker(loadProject(after), async () => {
      await listened(same);
      await expect(same.result()).rejects.toMatchObject({
        cause: { message: expect.stringContaining('tarpaulin') },
      });
    });
    const stored = await everything(same);
    expect(stored).not.toMatch(/tarpaulin|Stand-in/);
    for (const shown of ['Encoded failure', 'RunbookOutcome', 'confess', 'older', 'newer'])
      expect(stored).toContain(shown);

    const { stdout } = await cli(after, 'report', 'encrypted');
    expect(stdout).toContain('choked on tarpaulin');
    const forgotten = temporalOptions(loadProject(write('forgotten.yaml', codecOf('newer')))).client;
    const [first] = (await same.fetchHistory()).events ?? [];
    const input = first?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    await expect(forgotten.dataConverter?.payloadCodecs?.[0]?.decode(input)).rejects.toThrow(
      'encrypted with the key "older", which temporal.codec.keys does not have (newer)',
    );
    await other.connection.close();
  });

  it('lets the temporal command show a run', async () => {
    process.env['CODEC_TOKEN'] = 'token-of-the-command';
    const { keys: named } = codecOf('newer', 'older').codec;
    const server = { listen: '127.0.0.1:0', token: '${env:CODEC_TOKEN}' };
    const { url, stop } = await startCodecServer(
      loadProject(write('server.yaml', { codec: { keys: named, server } })),
    );
    const { path } = await obtainTemporalCli({});
    const flags = ['--address', temporal.address, '--codec-endpoint', url];
    const auth = ['--codec-auth', 'Bearer token-of-the-command'];
    const show = ['workflow', 'show', '--workflow-id', 'encrypted', '--output', 'json', ...flags, ...auth];
    const { stdout } = await promisify(execFile)(path, show, { maxBuffer: 1e8 }).finally(stop);
    const data = [...stdout.matchAll(/"data": "([^"]+)"/g)].map(([, text]) =>
      Buffer.from(text!, 'base64').toString(),
    );
    expect(data.join()).toContain('choked on tarpaulin');
  });
});

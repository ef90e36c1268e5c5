import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { execFileSync } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { cacheDirectory, cachePath } from '../../src/host/cache';
import { findPostgresBin, obtainPostgresBin, PostgresNotFound } from '../../src/host/postgres';
import { findTemporalCli, obtainTemporalCli, TemporalNotFound } from '../../src/local/temporal-cli';
import type { Release } from '../../src/host/official-download';
import { obtainS3Server } from '../../src/local/s3-server';
import { findTestServer, obtainTestServer } from '../../src/local/test-server';

const before = { ...process.env };
let base: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'finders-'));
  chmodSync(base, 0o755);
  process.env['RUNBOOKS_CACHE'] = join(base, 'cache');
  process.env['GOPATH'] = join(base, 'go');
  for (const name of ['TEMPORAL_CLI_PATH', 'TEMPORAL_TEST_SERVER_PATH', 'PG_BIN', 'GOBIN', 'VERSITYGW_PATH'])
    delete process.env[name];
});
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  rmSync(base, { recursive: true, force: true });
});

function program(path: string, prints: string): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho '${prints}'\n`, { mode: 0o755 });
  return path;
}

const cli = (path: string, server = '1.29.1') =>
  program(path, `temporal version 1.5.1 (Server ${server}, UI 2.42.1)`);

/** PATH with only the given folders and what a shell script needs. */
function onlyOnPath(...folders: string[]): void {
  const tools = join(base, 'tools');
  mkdirSync(tools);
  for (const name of ['sh', 'tar', 'gzip', 'dirname', 'sleep']) {
    symlinkSync(execFileSync('which', [name], { env: before }).toString().trim(), join(tools, name));
  }
  process.env['PATH'] = [...folders, tools].join(delimiter);
}

describe('the cache directory', () => {
  test('is the one that RUNBOOKS_CACHE names, and can be entered by every user', () => {
    expect(cacheDirectory()).toBe(join(base, 'cache'));
    const umask = process.umask(0o077);
    try {
      const inner = cachePath('a', 'b', 'file');
      expect(inner).toBe(join(base, 'cache', 'a', 'b', 'file'));
      const mode = execFileSync('stat', ['-c', '%a', join(base, 'cache', 'a', 'b')], { env: before })
        .toString()
        .trim();
      if (process.getuid?.() === 0) expect(mode).toBe('755');
    } finally {
      process.umask(umask);
    }
  });
});

describe('the S3 server of the tests', () => {
  test('is the one that VERSITYGW_PATH names, else the cached one, and nothing is guessed', async () => {
    const cached = program(cachePath('bin', 'versitygw-v1.8.0'), 'versitygw');
    onlyOnPath();
    expect(await obtainS3Server()).toMatchObject({ path: cached, source: 'our cache' });
    process.env['VERSITYGW_PATH'] = program(join(base, 'mine', 'versitygw'), 'versitygw');
    expect((await obtainS3Server()).path).toBe(process.env['VERSITYGW_PATH']);
    process.env['VERSITYGW_PATH'] = join(base, 'missing');
    await expect(obtainS3Server()).rejects.toThrow(/missing is no executable file/);
    delete process.env['VERSITYGW_PATH'];
    rmSync(cached);
    await expect(obtainS3Server()).rejects.toThrow(
      /there is no Go on PATH\nSet VERSITYGW_PATH.*or install Go/,
    );
  });
});

describe('the Temporal CLI is found', () => {
  test('by TEMPORAL_CLI_PATH before PATH, in PATH before the cache, and in the cache at last', async () => {
    const named = cli(join(base, 'named', 'my-temporal'));
    const onPath = cli(join(base, 'path', 'temporal'));
    const cached = cli(cachePath('bin', 'temporal'));
    onlyOnPath(join(base, 'path'));
    process.env['TEMPORAL_CLI_PATH'] = named;
    expect(await findTemporalCli()).toMatchObject({ path: named, source: 'TEMPORAL_CLI_PATH' });
    delete process.env['TEMPORAL_CLI_PATH'];
    expect(await findTemporalCli()).toMatchObject({ path: onPath, source: 'PATH' });
    rmSync(onPath);
    expect(await findTemporalCli()).toMatchObject({ path: cached, source: 'our cache' });
  });

  test("in Go's folder for programs, which counts as PATH", async () => {
    onlyOnPath();
    const built = cli(join(base, 'go', 'bin', 'temporal'));
    expect(await findTemporalCli()).toMatchObject({ path: built, source: 'PATH' });
  });

  test('not where it is too old or something else: the next place counts', async () => {
    cli(join(base, 'old', 'temporal'), '1.20.0');
    program(join(base, 'other', 'temporal'), 'a calendar program');
    const good = cli(join(base, 'good', 'temporal'));
    onlyOnPath(join(base, 'old'), join(base, 'other'), join(base, 'good'));
    const problems: string[] = [];
    expect(await findTemporalCli(problems)).toMatchObject({ path: good });
    expect(problems.join('\n')).toMatch(/too old[\s\S]*not the Temporal CLI/);
  });

  test('or it is an error at once when TEMPORAL_CLI_PATH is wrong', async () => {
    process.env['TEMPORAL_CLI_PATH'] = join(base, 'nothing-here');
    await expect(findTemporalCli()).rejects.toThrow(/TEMPORAL_CLI_PATH: .*nothing-here does not run/);
  });

  test('or the error names every way that was tried and what to do', async () => {
    onlyOnPath();
    const seen: string[] = [];
    const error = await obtainTemporalCli({
      baseUrl: 'http://127.0.0.1:9',
      progress: (line) => seen.push(line),
    }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TemporalNotFound);
    const { message } = error as Error;
    for (const way of [
      'TEMPORAL_CLI_PATH',
      'PATH',
      'our cache',
      'the official download',
      'go install',
      'brew install',
    ]) {
      expect(message).toContain(way);
    }
    expect(seen).toEqual([
      expect.stringContaining('trying the official download'),
      expect.stringContaining('Downloading'),
      expect.stringContaining('trying go install'),
    ]);
  });
});

describe('the official download', () => {
  let server: Server;
  let baseUrl: string;
  let asked: string[];
  let archive: Buffer;
  let sent: (whole: Buffer) => Buffer;

  /** An archive of what is in a folder. */
  const packed = (...names: string[]): Buffer =>
    execFileSync('tar', ['-czPf', '-', '-C', join(base, 'archive'), ...names], { env: before });
  /** A release of that archive, for this system. */
  const releaseOf = (whole: Buffer, member = 'temporal'): Release => {
    const digest = createHash('sha256').update(whole).digest('hex');
    const systems = ['linux_amd64', 'linux_arm64', 'darwin_amd64', 'darwin_arm64'];
    return {
      path: (system) => `released/temporal_${system}.tar.gz`,
      member: () => member,
      macos: 'darwin',
      sha256: Object.fromEntries(systems.map((system) => [system, digest])),
    };
  };
  const leftBehind = () => execFileSync('ls', [join(base, 'cache', 'bin')], { env: before }).toString();

  beforeEach(async () => {
    asked = [];
    sent = (whole) => whole;
    cli(join(base, 'archive', 'temporal'), '1.30.0');
    archive = packed('temporal');
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(sent(archive));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => new Promise((done) => server.close(done)));

  test('puts the CLI into the cache, and the next time it is found there', async () => {
    onlyOnPath();
    const got = await obtainTemporalCli({ baseUrl, release: releaseOf(archive) });
    expect(got).toMatchObject({
      path: join(base, 'cache', 'bin', 'temporal'),
      source: 'the official download',
    });
    expect(got.version).toContain('Server 1.30.0');
    expect(asked[0]).toMatch(/^\/released\/temporal_(linux|darwin)_(amd64|arm64)\.tar\.gz$/);
    expect(await obtainTemporalCli({ baseUrl: 'http://127.0.0.1:9' })).toMatchObject({ source: 'our cache' });
  });

  test('that breaks off leaves nothing behind that could be taken for the CLI', async () => {
    onlyOnPath();
    sent = (whole) => whole.subarray(0, 60);
    const attempt = obtainTemporalCli({ baseUrl, release: releaseOf(archive) });
    await expect(attempt).rejects.toThrow(TemporalNotFound);
    expect(leftBehind()).toBe('');
  });

  test('of another version, or of somebody else, is not opened: the one that is known counts', async () => {
    onlyOnPath();
    const release = releaseOf(archive);
    program(
      join(base, 'archive', 'temporal'),
      `temporal version 1.5.1 (Server 1.30.0, UI 2.42.1)'; touch '${base}/ran`,
    );
    archive = packed('temporal');
    await expect(obtainTemporalCli({ baseUrl, release })).rejects.toThrow(
      /is not what was released: its SHA-256 is [0-9a-f]{64}, and not [0-9a-f]{64}/,
    );
    expect([leftBehind(), existsSync(join(base, 'ran'))]).toEqual(['', false]);
    // What is published: the very address, and not what this server has.
    await expect(obtainTemporalCli({ baseUrl })).rejects.toThrow(/is not what was released/);
    expect(asked.at(-1)).toMatch(/^\/temporalio\/cli\/releases\/download\/v1\.5\.1\/temporal_cli_1\.5\.1_/);
  });

  test('writes nothing but the executable, whatever names and links its archive has', async () => {
    onlyOnPath();
    const outside = join(base, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(base, 'archive', 'lib'));
    writeFileSync(join(base, 'archive', 'evil'), 'evil');
    const upwards = `--transform=s,^evil$,../../../../outside/upwards,`;
    const absolute = `--transform=s,^temporal$,temporal,`;
    archive = packed(upwards, absolute, 'lib', 'temporal', 'evil');
    await obtainTemporalCli({ baseUrl, release: releaseOf(archive) });
    expect([leftBehind().trim(), readdirSync(outside)]).toEqual(['temporal', []]);
    rmSync(join(base, 'cache'), { recursive: true });
    const release = releaseOf(archive, '../../../../outside/missing');
    await expect(obtainTemporalCli({ baseUrl, release })).rejects.toThrow(TemporalNotFound);
  });

  test('serves the time-skipping test server too', async () => {
    onlyOnPath();
    expect(await findTestServer()).toBeUndefined();
    const release = releaseOf(archive);
    expect(await obtainTestServer({ baseUrl, release })).toMatchObject({ source: 'the official download' });
    expect(await findTestServer()).toMatchObject({ source: 'our cache' });
  });
});

test('without the test server the error names Maven, Java and the variable', async () => {
  onlyOnPath();
  const attempt = obtainTestServer({ baseUrl: 'http://127.0.0.1:9' });
  await expect(attempt).rejects.toThrow(
    /official download[\s\S]*Maven[\s\S]*no `java` on PATH[\s\S]*TEMPORAL_TEST_SERVER_PATH/,
  );
});

describe('PostgreSQL is found', () => {
  /** A folder that looks like the programs of that version. */
  function fake(folder: string, version: string, without: string[] = []): string {
    for (const tool of [
      'postgres',
      'initdb',
      'pg_ctl',
      'pg_controldata',
      'pg_dump',
      'pg_dumpall',
      'pg_restore',
      'psql',
    ]) {
      if (!without.includes(tool)) program(join(folder, tool), `${tool} (PostgreSQL) ${version}`);
    }
    return folder;
  }

  test('in the configured folder, then by PG_BIN, then through the links on PATH', async () => {
    const configured = fake(join(base, 'configured'), '16.4');
    const named = fake(join(base, 'named'), '17.2 (Debian 17.2-1)');
    const real = fake(join(base, 'real'), '18beta1');
    mkdirSync(join(base, 'links'));
    symlinkSync(join(real, 'pg_ctl'), join(base, 'links', 'pg_ctl'));
    process.env['PATH'] = `${join(base, 'links')}${delimiter}${before['PATH']}`;
    process.env['PG_BIN'] = named;
    expect(await findPostgresBin(configured)).toMatchObject({ directory: configured, major: 16 });
    expect(await findPostgresBin()).toMatchObject({ directory: named, version: '17.2', source: 'PG_BIN' });
    delete process.env['PG_BIN'];
    expect(await findPostgresBin()).toMatchObject({ directory: real, major: 18, source: 'PATH' });
  });

  test('in the major version that is asked for, or the error says which ones there are', async () => {
    fake(join(base, 'sixteen'), '16.4');
    const seventeen = fake(join(base, 'seventeen'), '17.2');
    process.env['PATH'] = [join(base, 'sixteen'), join(base, 'seventeen')].join(delimiter);
    expect(await findPostgresBin(undefined, { major: 17 })).toMatchObject({ directory: seventeen });
    await expect(findPostgresBin(undefined, { major: 99 })).rejects.toThrow(
      /No PostgreSQL 99[\s\S]*sixteen.*has version 16\.4/,
    );
  });

  test('only when it is whole, new enough and runs', async () => {
    process.env['PG_BIN'] = fake(join(base, 'partial'), '16.4', ['pg_dump']);
    await expect(obtainPostgresBin()).rejects.toThrow(/PG_BIN\): without pg_dump/);
    process.env['PG_BIN'] = fake(join(base, 'old'), '14.9');
    await expect(findPostgresBin()).rejects.toThrow(/version 14\.9 is too old/);
    const broken = fake(join(base, 'broken'), '16.4');
    writeFileSync(join(broken, 'postgres'), '#!/bin/sh\necho a library is missing >&2; exit 1\n');
    process.env['PG_BIN'] = broken;
    await expect(findPostgresBin()).rejects.toThrow(/does not run.*a library is missing/);
    await expect(findPostgresBin()).rejects.toBeInstanceOf(PostgresNotFound);
    await expect(findPostgresBin()).rejects.toThrow(/apt-get install postgresql/);
  });

  (process.getuid?.() === 0 ? test : test.skip)(
    'only where the user that will run it can reach it',
    async () => {
      const folder = fake(join(base, 'closed', 'bin'), '16.4');
      chmodSync(join(base, 'closed'), 0o700);
      await expect(findPostgresBin(folder)).rejects.toThrow(/does not run as user/);
    },
  );
});

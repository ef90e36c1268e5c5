import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheDirectory, cachePath } from '../../src/host/cache';
import { findPostgresBin, obtainPostgresBin, PostgresNotFound } from '../../src/host/postgres';
import { findTemporalCli, obtainTemporalCli, TemporalNotFound } from '../../src/local/temporal-cli';
import type { Release } from '../../src/host/official-download';
import { obtainS3Server } from '../../src/local/s3-server';
import { findTestServer, obtainTestServer } from '../../src/local/test-server';
import { useFakePrograms } from '../support/fake-programs';
import { serve, type LocalServer } from '../support/local-server';

const { at, before, cli, onlyOnPath, program } = useFakePrograms();

describe('the cache directory', () => {
  test('is the one that RUNBOOKS_CACHE names, and can be entered by every user', () => {
    expect(cacheDirectory()).toBe(at('cache'));
    const umask = process.umask(0o077);
    try {
      const inner = cachePath('a', 'b', 'file');
      expect(inner).toBe(at('cache', 'a', 'b', 'file'));
      const mode = execFileSync('stat', ['-c', '%a', at('cache', 'a', 'b')], { env: before })
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
    process.env['VERSITYGW_PATH'] = program(at('mine', 'versitygw'), 'versitygw');
    expect((await obtainS3Server()).path).toBe(process.env['VERSITYGW_PATH']);
    process.env['VERSITYGW_PATH'] = at('missing');
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
    const named = cli(at('named', 'my-temporal'));
    const onPath = cli(at('path', 'temporal'));
    const cached = cli(cachePath('bin', 'temporal'));
    onlyOnPath(at('path'));
    process.env['TEMPORAL_CLI_PATH'] = named;
    expect(await findTemporalCli()).toMatchObject({ path: named, source: 'TEMPORAL_CLI_PATH' });
    delete process.env['TEMPORAL_CLI_PATH'];
    expect(await findTemporalCli()).toMatchObject({ path: onPath, source: 'PATH' });
    rmSync(onPath);
    expect(await findTemporalCli()).toMatchObject({ path: cached, source: 'our cache' });
  });

  test("in Go's folder for programs, which counts as PATH", async () => {
    onlyOnPath();
    const built = cli(at('go', 'bin', 'temporal'));
    expect(await findTemporalCli()).toMatchObject({ path: built, source: 'PATH' });
  });

  test('not where it is too old or something else: the next place counts', async () => {
    cli(at('old', 'temporal'), '1.20.0');
    program(at('other', 'temporal'), 'a calendar program');
    const good = cli(at('good', 'temporal'));
    onlyOnPath(at('old'), at('other'), at('good'));
    const problems: string[] = [];
    expect(await findTemporalCli(problems)).toMatchObject({ path: good });
    expect(problems.join('\n')).toMatch(/too old[\s\S]*not the Temporal CLI/);
  });

  test('or it is an error at once when TEMPORAL_CLI_PATH is wrong', async () => {
    process.env['TEMPORAL_CLI_PATH'] = at('nothing-here');
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
  let server: LocalServer;
  let baseUrl: string;
  let asked: string[];
  let archive: Buffer;
  let sent: (whole: Buffer) => Buffer;

  /** An archive of what is in a folder. */
  const packed = (...names: string[]): Buffer =>
    execFileSync('tar', ['-czPf', '-', '-C', at('archive'), ...names], { env: before });
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
  const leftBehind = () => execFileSync('ls', [at('cache', 'bin')], { env: before }).toString();

  beforeEach(async () => {
    asked = [];
    sent = (whole) => whole;
    cli(at('archive', 'temporal'), '1.30.0');
    archive = packed('temporal');
    server = await serve((request, response) => {
      asked.push(request.url ?? '');
      response.end(sent(archive));
    });
    baseUrl = server.url;
  });
  afterEach(() => server.stop());

  test('puts the CLI into the cache, and the next time it is found there', async () => {
    onlyOnPath();
    const got = await obtainTemporalCli({ baseUrl, release: releaseOf(archive) });
    expect(got).toMatchObject({
      path: at('cache', 'bin', 'temporal'),
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
      at('archive', 'temporal'),
      `temporal version 1.5.1 (Server 1.30.0, UI 2.42.1)'; touch '${at('ran')}`,
    );
    archive = packed('temporal');
    await expect(obtainTemporalCli({ baseUrl, release })).rejects.toThrow(
      /is not what was released: its SHA-256 is [0-9a-f]{64}, and not [0-9a-f]{64}/,
    );
    expect([leftBehind(), existsSync(at('ran'))]).toEqual(['', false]);
    // What is published: the very address, and not what this server has.
    await expect(obtainTemporalCli({ baseUrl })).rejects.toThrow(/is not what was released/);
    expect(asked.at(-1)).toMatch(/^\/temporalio\/cli\/releases\/download\/v1\.5\.1\/temporal_cli_1\.5\.1_/);
  });

  test('writes nothing but the executable, whatever names and links its archive has', async () => {
    onlyOnPath();
    const outside = at('outside');
    mkdirSync(outside);
    symlinkSync(outside, at('archive', 'lib'));
    // From wherever in the cache somebody would open it, and through the link; whole paths as well.
    const ways = ['../outside', '../../outside', '../../../outside', 'lib', outside];
    const names = ways.map((_, index) => `evil-${index}`);
    for (const name of names) writeFileSync(at('archive', name), 'evil');
    const transforms = ways.map((way, index) => `--transform=s,^evil-${index}$,${way}/evil-${index},`);
    archive = packed(...transforms, 'lib', 'temporal', ...names);
    await obtainTemporalCli({ baseUrl, release: releaseOf(archive) });
    expect([leftBehind().trim(), readdirSync(outside)]).toEqual(['temporal', []]);
    rmSync(at('cache'), { recursive: true });
    const release = releaseOf(archive, '../../../outside/missing');
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
    const configured = fake(at('configured'), '16.4');
    const named = fake(at('named'), '17.2 (Debian 17.2-1)');
    const real = fake(at('real'), '18beta1');
    mkdirSync(at('links'));
    symlinkSync(join(real, 'pg_ctl'), at('links', 'pg_ctl'));
    process.env['PATH'] = `${at('links')}${delimiter}${before['PATH']}`;
    process.env['PG_BIN'] = named;
    expect(await findPostgresBin(configured)).toMatchObject({ directory: configured, major: 16 });
    expect(await findPostgresBin()).toMatchObject({ directory: named, version: '17.2', source: 'PG_BIN' });
    delete process.env['PG_BIN'];
    expect(await findPostgresBin()).toMatchObject({ directory: real, major: 18, source: 'PATH' });
  });

  test('in the major version that is asked for, or the error says which ones there are', async () => {
    fake(at('sixteen'), '16.4');
    const seventeen = fake(at('seventeen'), '17.2');
    process.env['PATH'] = [at('sixteen'), at('seventeen')].join(delimiter);
    expect(await findPostgresBin(undefined, { major: 17 })).toMatchObject({ directory: seventeen });
    await expect(findPostgresBin(undefined, { major: 99 })).rejects.toThrow(
      /No PostgreSQL 99[\s\S]*sixteen.*has version 16\.4/,
    );
  });

  test('only when it is whole, new enough and runs', async () => {
    process.env['PG_BIN'] = fake(at('partial'), '16.4', ['pg_dump']);
    await expect(obtainPostgresBin()).rejects.toThrow(/PG_BIN\): without pg_dump/);
    process.env['PG_BIN'] = fake(at('old'), '14.9');
    await expect(findPostgresBin()).rejects.toThrow(/version 14\.9 is too old/);
    const broken = fake(at('broken'), '16.4');
    writeFileSync(join(broken, 'postgres'), '#!/bin/sh\necho a library is missing >&2; exit 1\n');
    process.env['PG_BIN'] = broken;
    await expect(findPostgresBin()).rejects.toThrow(/does not run.*a library is missing/);
    await expect(findPostgresBin()).rejects.toBeInstanceOf(PostgresNotFound);
    await expect(findPostgresBin()).rejects.toThrow(/apt-get install postgresql/);
  });

  (process.getuid?.() === 0 ? test : test.skip)(
    'only where the user that will run it can reach it',
    async () => {
      const folder = fake(at('closed', 'bin'), '16.4');
      chmodSync(at('closed'), 0o700);
      await expect(findPostgresBin(folder)).rejects.toThrow(/does not run as user/);
    },
  );
});

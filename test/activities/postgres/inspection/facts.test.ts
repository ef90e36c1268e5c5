import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createFactsActivities } from '../../../../src/activities/postgres/inspection/facts';
import { createProbeActivities } from '../../../../src/activities/postgres/inspection/probe';
import { listLongTransactions } from '../../../../src/activities/postgres/session/sessions';
import { freePort } from '../../../../src/host/guardian';
import { wrapTools } from '../../../support/pg-tools';
import {
  failureOf,
  runActivity,
  runSql,
  startTestPostgres,
  type FreshOptions,
  type TestPostgres,
} from '../../../support/postgres';
import { startTransactionPooler } from '../../../support/pooler';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres({
    template: `CREATE TABLE bookings (id int PRIMARY KEY, note text); INSERT INTO bookings SELECT i, 'n' FROM generate_series(1, 10) i;`,
  });
});
afterAll(() => pg.stop());

async function factsOf(options: FreshOptions = {}, write = false) {
  const db = await pg.fresh(options);
  return runActivity(createFactsActivities(db.deps).readDatabaseFacts, { database: db.ref, write });
}

test('reads what a runbook has to know', async () => {
  const facts = await factsOf();
  expect(facts).toMatchObject({
    systemIdentifier: pg.server.systemIdentifier,
    clientMajor: 15,
    role: 'postgres',
    canSeeAllRows: true,
    readOnly: false,
    tables: 1,
    fenceToken: 0,
    longTransactions: [],
    maxReplicaLagSeconds: null,
  });
  expect(facts.sizeBytes).toBeGreaterThan(1_000_000);
  expect(Math.floor(facts.serverVersionNum / 10_000)).toBe(15);
});

test('finds the highest fencing token and transactions that are open for long', async () => {
  const db = await pg.fresh({
    sql: `CREATE SCHEMA durable_runbooks;
          CREATE TABLE durable_runbooks.fence (target text PRIMARY KEY, token bigint NOT NULL);
          INSERT INTO durable_runbooks.fence VALUES ('a', 41), ('b', 42)`,
  });
  const idle = new Client({ connectionString: db.url, application_name: 'forgotten' });
  await idle.connect();
  await idle.query('BEGIN; SELECT 1');
  try {
    const watcher = new Client({ connectionString: db.url });
    await watcher.connect();
    const [session] = await listLongTransactions(watcher, 0);
    await watcher.end();
    expect(session).toMatchObject({ application: 'forgotten', state: 'idle in transaction' });
    const facts = await runActivity(createFactsActivities(db.deps).readDatabaseFacts, { database: db.ref });
    expect(facts.fenceToken).toBe(42);
  } finally {
    await idle.end();
  }
});

test('says that a role cannot see all rows', async () => {
  await runSql(pg.urlOf('postgres'), `CREATE ROLE limited LOGIN PASSWORD 'limited-password'`);
  const facts = await factsOf({ role: { user: 'limited', password: 'limited-password' } });
  expect(facts).toMatchObject({ role: 'limited', canSeeAllRows: false });
});

describe('a wrong database behind the URL', () => {
  test('another system identifier is refused', async () => {
    const failure = await failureOf(factsOf({ identity: { systemIdentifier: '12345678901234567890' } }));
    expect(failure).toMatchObject({ type: 'WrongDatabase', nonRetryable: true });
    expect(failure.message).toMatch(/shop\/production.*12345678901234567890/);
  });

  test('another database of the same server is refused', async () => {
    const failure = await failureOf(factsOf({ identity: { database: 'shop' } }));
    expect(failure.type).toBe('WrongDatabase');
    expect(failure.message).toContain('instead of "shop"');
  });

  test('a database that does not exist is a wrong one', async () => {
    expect((await failureOf(factsOf({ url: pg.urlOf('nowhere') }))).type).toBe('WrongDatabase');
  });

  test.each(['restored', 'drill', 'previous'])(
    'a %s copy that calls itself the live database is refused',
    async (kind) => {
      const db = await pg.fresh();
      await db.query(`COMMENT ON DATABASE ${db.name} IS '{"by":"durable-runbooks","kind":"${kind}"}'`);
      const failure = await failureOf(
        runActivity(createFactsActivities(db.deps).readDatabaseFacts, { database: db.ref }),
      );
      expect(failure.type).toBe('WrongDatabase');
      expect(failure.message).toContain(`mark of a ${kind} copy`);
    },
  );

  test('somebody else’s comment is no mark', async () => {
    const db = await pg.fresh();
    await db.query(`COMMENT ON DATABASE ${db.name} IS '{"by":"the DBA","kind":"drill"}'`);
    await expect(
      runActivity(createFactsActivities(db.deps).readDatabaseFacts, { database: db.ref }),
    ).resolves.toBeDefined();
  });

  test('a copy beside the live database without our mark is not ours', async () => {
    const db = await pg.fresh();
    await runSql(pg.urlOf('postgres'), `CREATE DATABASE beside_${db.name}`);
    const database = { ...db.ref, database: `beside_${db.name}` };
    const failure = await failureOf(
      runActivity(createFactsActivities(db.deps).readDatabaseFacts, { database }),
    );
    expect(failure.type).toBe('TargetNotOurs');
  });
});

describe('a database that cannot be used', () => {
  test('unreachable is worth another try', async () => {
    const url = new URL(pg.server.url);
    url.port = String(await freePort());
    const failure = await failureOf(factsOf({ url: url.href }));
    expect(failure).toMatchObject({ type: 'DatabaseUnreachable', nonRetryable: false });
    expect(failure.message).toMatch(/shop\/production/);
  });

  test('a wrong password is named and never shown', async () => {
    const failure = await failureOf(factsOf({ role: { user: 'postgres', password: 'not-the-password-1' } }));
    expect(failure).toMatchObject({ type: 'AuthenticationFailed', nonRetryable: true });
    expect(JSON.stringify(failure) + failure.message).not.toContain('not-the-password-1');
  });

  test('read-only is refused only where something is to be written', async () => {
    const db = await pg.fresh();
    await db.query(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`);
    const { readDatabaseFacts } = createFactsActivities(db.deps);
    expect((await runActivity(readDatabaseFacts, { database: db.ref })).readOnly).toBe(true);
    const failure = await failureOf(runActivity(readDatabaseFacts, { database: db.ref, write: true }));
    expect(failure).toMatchObject({ type: 'ReadOnlyDatabase', nonRetryable: true });
  });

  test('a transaction-mode pooler is refused, and a pool of whole sessions is not', async () => {
    const pooler = await startTransactionPooler(pg.server.port);
    const sessionPool = await startTransactionPooler(pg.server.port, { mode: 'session' });
    try {
      const db = await pg.fresh();
      const through = async (port: number) => {
        const url = new URL(db.url);
        url.port = String(port);
        writeFileSync(join(db.directory, 'url'), url.href);
        return runActivity(createFactsActivities(db.deps).readDatabaseFacts, { database: db.ref });
      };
      expect((await failureOf(through(pooler.port))).type).toBe('PoolerRefused');
      expect((await through(sessionPool.port)).database).toBe(db.name);
    } finally {
      await Promise.all([pooler.stop(), sessionPool.stop()]);
    }
  });

  test('a server newer than the client tools is refused', async () => {
    const postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_dump: 'if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) 14.9"; exit 0; fi',
    });
    const failure = await failureOf(factsOf({ config: { postgresBin } }));
    expect(failure).toMatchObject({ type: 'ClientTooOld', nonRetryable: true });
    expect(failure.message).toMatch(/PostgreSQL 15.*are 14/s);
  });

  test('no client tools at all says what to install', async () => {
    const empty = join(pg.directory, 'empty');
    const failure = await failureOf(factsOf({ config: { postgresBin: empty } }));
    expect(failure.type).toBe('CommandFailed');
    expect(failure.message).toContain('Install it');
  });
});

test('the identity can be read before anything is registered', async () => {
  const db = await pg.fresh({ identity: { systemIdentifier: '1234567890', database: 'other' } });
  await expect(createFactsActivities(db.deps).readIdentity(db.place)).resolves.toEqual({
    systemIdentifier: pg.server.systemIdentifier,
    database: db.name,
    standby: false,
    mark: null,
  });
});

test('a missing secret is an input error that names the reference', async () => {
  const db = await pg.fresh();
  const { services, ...others } = db.deps.config;
  const config = { ...others, services: structuredClone(services) };
  config.services['shop']!.environments['production']!.database.url = '${file:not-there}';
  const failure = await failureOf(
    runActivity(createFactsActivities({ config }).readDatabaseFacts, { database: db.ref }),
  );
  expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
  expect(failure.message).toContain('${file:not-there}');
});

describe('a database that somebody wants to use', () => {
  const probing = async (options: FreshOptions = {}) => {
    const db = await pg.fresh(options);
    return { ...createProbeActivities(db.deps), db, place: db.place };
  };

  it('that answers says how many connections are in use', async () => {
    const { probeDatabase, place } = await probing();
    const found = await runActivity(probeDatabase, place);
    expect(found).toMatchObject({ reachable: true, full: false });
    expect(found.detail).toMatch(/^answers; \d+ of \d+ connections of the server are in use$/);
    expect(found.utilisation).toBeLessThan(0.8);
  });

  it('of which one role has nothing left is as good as full', async () => {
    const { probeDatabase, place, db } = await probing({
      sql: "CREATE ROLE app LOGIN PASSWORD 'secret' CONNECTION LIMIT 1",
    });
    const app = new Client({ connectionString: pg.urlOf(db.name, { user: 'app', password: 'secret' }) });
    await app.connect();
    try {
      expect(await runActivity(probeDatabase, place)).toMatchObject({
        utilisation: 1,
        detail: expect.stringContaining('1 of 1 connections of role app') as string,
      });
    } finally {
      await app.end();
    }
  });

  it('that is away is a fact and no error', async () => {
    const { probeDatabase, place } = await probing({ url: 'postgresql://x:y@127.0.0.1:9/shop' });
    expect(await runActivity(probeDatabase, place)).toMatchObject({
      reachable: false,
      full: false,
      utilisation: null,
    });
  });

  it('whose password is wrong says nothing about itself', async () => {
    const { probeDatabase, place } = await probing({
      url: pg.urlOf('postgres', { user: 'nobody', password: 'x' }),
    });
    expect(await failureOf(runActivity(probeDatabase, place))).toMatchObject({
      type: 'AuthenticationFailed',
    });
  });

  it('without a connection left is full, and not away', async () => {
    const { probeDatabase, place, db } = await probing({
      sql: "CREATE ROLE small LOGIN PASSWORD 'secret' CONNECTION LIMIT 0",
    });
    const url = pg.urlOf(db.name, { user: 'small', password: 'secret' });
    const other = await probing({ url });
    expect(await runActivity(other.probeDatabase, other.place)).toMatchObject({
      reachable: false,
      full: true,
      utilisation: 1,
    });
    expect(await runActivity(probeDatabase, place)).toMatchObject({ reachable: true });
  });
});

import { connect, createServer, type AddressInfo } from 'node:net';
import { Client } from 'pg';
import { ensureBookkeeping } from '../../../../src/activities/postgres/session/bookkeeping';
import {
  openClient,
  terminateEarlierAttempts,
  withClient,
  withTransaction,
} from '../../../../src/activities/postgres/session/connection';
import { endpointOf, libpqOf } from '../../../../src/activities/postgres/session/endpoint';
import {
  failureOf,
  runActivity,
  runSql,
  startActivity,
  startTestPostgres,
  until,
  type TestPostgres,
} from '../../../support/postgres';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres({ template: 'CREATE TABLE t (id int PRIMARY KEY)' });
});
afterAll(() => pg.stop());

const sessions = (database: string) =>
  runSql<{ query: string; state: string }>(
    pg.urlOf('postgres'),
    `SELECT query, state FROM pg_stat_activity WHERE datname = $1`,
    [database],
  );

test('a statement that a server never answers is given up, and the connection with it', async () => {
  const db = await pg.fresh();
  const hung = (client: Client) => client.query('SELECT pg_sleep(60)');
  const failure = await failureOf(
    runActivity(() => withClient(db.deps, db.ref, hung, { answerTimeoutMs: 500 }), undefined),
  );
  expect(failure).toMatchObject({ type: 'DatabaseUnreachable', nonRetryable: true });
  expect(failure.message).toMatch(/takes statements and answers none/);
  await until(async () => (await sessions(db.name)).length === 0);
});

test('a session carries its name and its limits', async () => {
  const db = await pg.fresh();
  const settings = await runActivity(
    () =>
      withClient(
        db.deps,
        db.ref,
        async (client) => {
          const shown: Record<string, string> = {};
          for (const name of [
            'application_name',
            'statement_timeout',
            'lock_timeout',
            'client_connection_check_interval',
            'row_security',
          ]) {
            shown[name] = (await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0]![name]!;
          }
          return shown;
        },
        { allRows: true, lockTimeoutMs: 500 },
      ),
    undefined,
    { workflowId: 'run-1', attempt: 3 },
  );
  expect(settings).toEqual({
    application_name: 'dr:run-1#7/3',
    statement_timeout: '1min',
    lock_timeout: '500ms',
    client_connection_check_interval: '2s',
    row_security: 'off',
  });
});

test('a server that says that it is starting is waited for, within the same attempt', async () => {
  const db = await pg.fresh();
  const { hostname, port } = new URL(db.url);
  const readyMs = Date.now() + 1_200;
  let refused = 0;
  const starting = createServer((socket) => {
    socket.on('error', () => undefined);
    if (Date.now() > readyMs) {
      const behind = connect(Number(port), hostname);
      behind.on('error', () => socket.destroy());
      return socket.pipe(behind).pipe(socket);
    }
    refused += 1;
    const fields = Buffer.from('SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0');
    const head = Buffer.from('E\0\0\0\0');
    head.writeInt32BE(fields.length + 4, 1);
    return socket.once('data', () => socket.end(Buffer.concat([head, fields])));
  });
  await new Promise<void>((resolve) => starting.listen(0, '127.0.0.1', resolve));
  const url = new URL(db.url);
  url.port = String((starting.address() as AddressInfo).port);
  url.searchParams.set('sslmode', 'disable');
  const client = await openClient({ url: url.href, label: 'starting' } as Parameters<typeof openClient>[0]);
  await client.end();
  starting.close();
  expect(refused).toBeGreaterThan(2);
});

test('cancellation reaches the statement on the server, and no further one is sent', async () => {
  const db = await pg.fresh();
  const after: string[] = [];
  const run = startActivity(
    () =>
      withClient(db.deps, db.ref, async (client) => {
        await client.query('SELECT pg_sleep(60)').catch(() => after.push('cancelled'));
        await client.query('INSERT INTO t VALUES (1)').catch(() => after.push('refused'));
      }),
    undefined,
  );
  await until(async () =>
    (await sessions(db.name)).some(({ query, state }) => query.includes('pg_sleep') && state === 'active'),
  );
  run.cancel();
  await run.result.catch(() => undefined);
  expect(after).toEqual(['cancelled', 'refused']);
  expect(await db.query('SELECT * FROM t')).toEqual([]);
  await until(async () => (await sessions(db.name)).length === 0);
});

test('what a cancelled body throws is the cancellation', async () => {
  const db = await pg.fresh();
  const run = startActivity(
    () => withClient(db.deps, db.ref, (client) => client.query('SELECT pg_sleep(60)')),
    undefined,
  );
  await until(async () => (await sessions(db.name)).some(({ query }) => query.includes('pg_sleep')));
  run.cancel();
  expect((await failureOf(run.result)).name).toBe('CancelledFailure');
});

test('a transaction commits what its body did, or nothing', async () => {
  const db = await pg.fresh();
  await withTransaction(db.deps, db.ref, (client) => client.query('INSERT INTO t VALUES (1)'));
  const failed = withTransaction(
    db.deps,
    db.ref,
    async (client) => {
      await client.query('INSERT INTO t VALUES (2)');
      await client.query('INSERT INTO t VALUES (1)');
    },
    { action: 'insert twice' },
  );
  const failure = await failureOf(failed);
  expect(failure.message).toMatch(/insert twice.*SQLSTATE 23505/);
  expect(await db.query('SELECT id FROM t')).toEqual([{ id: 1 }]);
});

test('a commit whose answer was lost says that its outcome is unknown', async () => {
  const db = await pg.fresh();
  const failure = await failureOf(
    withTransaction(db.deps, db.ref, async (client) => {
      await client.query('INSERT INTO t VALUES (1)');
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await runSql(pg.urlOf('postgres'), 'SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
    }),
  );
  expect(failure).toMatchObject({
    type: 'DatabaseUnreachable',
    nonRetryable: false,
    details: [{ outcomeUnknown: true }],
  });
});

describe.each(['a superuser', 'the documented role'])('a later attempt as %s', (who) => {
  const role = { user: 'migrator', password: 'migrator-password' };
  beforeAll(() =>
    runSql(
      pg.urlOf('postgres'),
      `DROP ROLE IF EXISTS migrator; CREATE ROLE migrator LOGIN PASSWORD 'migrator-password';
       GRANT pg_monitor, pg_signal_backend TO migrator`,
    ),
  );

  test('ends the sessions of earlier ones by their names, and nobody else on the server', async () => {
    const db = await pg.fresh(who === 'a superuser' ? {} : { role });
    const lost = new Set<string>();
    const open = async (name: string, connectionString: string) => {
      const client = new Client({ connectionString, application_name: name });
      client.on('error', () => lost.add(name));
      await client.connect();
      return client;
    };
    const others = [
      await open('bookings', pg.urlOf('postgres')),
      await open('dr:test-run#7/5', db.url),
      await open('dr:test-run#17/1', db.url),
    ];
    const earlier = [await open('dr:test-run#7/1', db.url), await open('dr:test-run#7/4', db.url)];
    const ended = await runActivity(() => withClient(db.deps, db.ref, terminateEarlierAttempts), undefined, {
      attempt: 5,
    });
    expect(ended).toBe(2);
    await until(() => lost.size === 2);
    expect([...lost].sort()).toEqual(['dr:test-run#7/1', 'dr:test-run#7/4']);
    for (const client of others) expect((await client.query('SELECT 1')).rows).toHaveLength(1);
    await Promise.all([...others, ...earlier].map((client) => client.end().catch(() => undefined)));
  });
});

test('the identity is checked in the session that does the work', async () => {
  const db = await pg.fresh({ identity: { systemIdentifier: '12345678901' } });
  let reached = false;
  const failure = await failureOf(
    withClient(
      db.deps,
      db.ref,
      async () => {
        reached = true;
      },
      { identity: true },
    ),
  );
  expect(failure.type).toBe('WrongDatabase');
  expect(reached).toBe(false);
});

test('the bookkeeping can be made by several sessions at once', async () => {
  const db = await pg.fresh();
  await Promise.all(
    Array.from({ length: 6 }, () => withClient(db.deps, db.ref, (client) => ensureBookkeeping(client))),
  );
  expect(
    await db.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'durable_runbooks' ORDER BY 1`),
  ).toEqual(expect.arrayContaining(['canary', 'fence', 'ledger'].map((tablename) => ({ tablename }))));
});

test('a role without CREATE uses a bookkeeping that is there', async () => {
  await runSql(pg.urlOf('postgres'), `CREATE ROLE poor LOGIN PASSWORD 'poor-password'`);
  const db = await pg.fresh({ role: { user: 'poor', password: 'poor-password' } });
  expect(
    (await failureOf(withClient(db.deps, db.ref, (client) => ensureBookkeeping(client)))).message,
  ).toMatch(/42501.*Grant/s);
  const { deps } = await pg.fresh({ url: pg.urlOf(db.name), identity: { database: db.name } });
  await withClient(deps, db.ref, (client) => ensureBookkeeping(client));
  await withClient(db.deps, db.ref, (client) => ensureBookkeeping(client));
});

test('client tools get the password in their environment and only parameters they know', async () => {
  const url = new URL(pg.urlOf('postgres'));
  url.search = '?schema=public&pgbouncer=true&sslmode=disable';
  const db = await pg.fresh({ url: url.href });
  const { url: shown, environment } = libpqOf(endpointOf(db.deps, db.ref));
  expect(shown).not.toContain(url.password);
  expect(environment['PGPASSWORD']).toBe(decodeURIComponent(url.password));
  expect([...new URL(shown).searchParams.keys()].sort()).toEqual(['connect_timeout', 'sslmode']);
  // Nor do they break the driver.
  await withClient(db.deps, { ...db.ref, database: db.name }, (client) => client.query('SELECT 1'));
});

import { chownSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { connectionCauseOf } from '../../../../src/activities/postgres/connections/connection-cause';
import { createDiagnoseActivities } from '../../../../src/activities/postgres/connections/diagnose-activities';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type FreshOptions,
  type TestDatabase,
} from '../../../support/postgres';
import { duringTests } from '../../../support/stand-in';
import { demandTls } from './demand-tls';

const pg = duringTests(() =>
  startTestPostgres({ settings: { max_connections: '12', superuser_reserved_connections: '3' } }),
);
beforeAll(() =>
  runSql(
    pg.urlOf('postgres'),
    `CREATE ROLE app LOGIN PASSWORD 'app-secret'; CREATE ROLE strict LOGIN PASSWORD 'app-secret';
     CREATE ROLE stranger LOGIN PASSWORD 'app-secret'`,
  ),
);

const APP = { user: 'app', password: 'app-secret' };

/** What is found with this URL of the application, and that of the worker as it is. */
async function diagnose(url: string | undefined, options: FreshOptions = {}) {
  const db = await pg.fresh(options);
  return diagnoseIn(db, url?.replace('DATABASE', db.name));
}
async function diagnoseIn(db: TestDatabase, url?: string) {
  const { production: found } = db.deps.config.services['shop']!.environments;
  if (url !== undefined)
    found!.application = { databaseUrl: url, health: [] } as unknown as NonNullable<
      typeof found
    >['application'];
  return runActivity(createDiagnoseActivities(db.deps).diagnoseDatabase, db.place);
}
const appUrl = (change: (url: URL) => void = () => undefined) => {
  const url = new URL(pg.urlOf('DATABASE', APP));
  change(url);
  return url.href;
};

it('finds nothing where both get in, and says how many connections the application may have', async () => {
  const db = await pg.fresh();
  await db.query('ALTER ROLE app CONNECTION LIMIT 7');
  const found = await diagnoseIn(db, appUrl().replace('DATABASE', db.name));
  expect(found).toMatchObject({
    runbooks: { cause: null },
    application: {
      cause: null,
      address: expect.stringMatching(/^127\.0\.0\.1:\d+\/shop_\d+ as app$/) as string,
      limits: [
        { name: 'server', limit: 9 },
        { name: 'role app', limit: 7 },
      ],
    },
    status: null,
    canStart: false,
  });
  expect(JSON.stringify(found)).not.toContain('app-secret');
  await db.query('ALTER ROLE app CONNECTION LIMIT -1');
});

it.each<[string, (url: URL) => void, RegExp]>([
  [
    'authentication',
    (url) => (url.password = 'of-last-year'),
    /password authentication failed for user "app"/,
  ],
  ['authentication', (url) => (url.username = 'nobody'), /authentication failed for user "nobody"/],
  ['database-missing', (url) => (url.pathname = '/gone'), /database "gone" does not exist/],
  ['other-database', (url) => (url.pathname = '/postgres'), /leads to database "postgres"/],
  ['dns', (url) => (url.hostname = `${'x'.repeat(70)}.example`), /ENOTFOUND/],
  ['refused', (url) => (url.port = '1'), /ECONNREFUSED/],
  ['tls', (url) => url.searchParams.set('sslmode', 'require'), /does not support SSL/],
  ['tls', (url) => url.searchParams.set('sslrootcert', '/no/such/ca.pem'), /ENOENT/],
])('tells apart, for the URL of the application: %s', async (cause, change, said) => {
  const { runbooks, application } = await diagnose(appUrl(change));
  expect(runbooks.cause).toBeNull();
  expect([application?.cause, application?.detail]).toEqual([cause, expect.stringMatching(said)]);
  expect(JSON.stringify(application)).not.toMatch(/app-secret|of-last-year/);
});

it('tells a URL that is none, and does not repeat it', async () => {
  for (const text of [
    '"postgresql://app:app-secret@db/x"',
    'postgresql://app:app-secret@db',
    // The slash ends the host, and what follows it would be the database.
    'postgresql://app:12/app-secret@db:5432/x',
    'redis://db/0',
  ]) {
    const { application } = await diagnose(text);
    expect(application).toMatchObject({ cause: 'url', address: '' });
    expect(JSON.stringify(application)).not.toContain('app-secret');
  }
});

it('tells a secret that is not set, and tries the other one', async () => {
  const { runbooks, application } = await diagnose('${env:NOBODY_HAS_SET_THIS}');
  expect(runbooks.cause).toBeNull();
  expect(application).toMatchObject({
    cause: 'url',
    detail: expect.stringMatching(
      /^\$\{env:NOBODY_HAS_SET_THIS\} cannot be resolved: the variable/,
    ) as string,
  });
});

it('a password with a percent sign that nobody encoded is tried as the driver reads it', async () => {
  const db = await pg.fresh();
  await db.query(`CREATE ROLE careless LOGIN PASSWORD 'app%secret'`);
  const url = new URL(pg.urlOf(db.name, { user: 'careless', password: 'app-secret' }));
  const { application } = await diagnoseIn(db, url.href.replace('app-secret', 'app%secret'));
  expect(application).toMatchObject({ cause: null });
  const wrong = await diagnoseIn(db, url.href.replace('app-secret', 'app%ffsecret'));
  expect(wrong.application?.cause).toBe('url');
});

it('tells a name that is not resolved now from one that does not exist, and what providers and poolers say', () => {
  const said = (message: string, code?: string) =>
    connectionCauseOf(Object.assign(new Error(message), { code }));
  expect(said('getaddrinfo EAI_AGAIN db.internal', 'EAI_AGAIN')).toBe('resolver');
  expect(said('the database system is starting up', '57P03')).toBe('starting');
  expect(said('The endpoint has been disabled. Enable it using the API', 'XX000')).toBe('paused');
  expect(said('no more connections allowed (max_client_conn)', '08P01')).toBe('too-many-connections');
  expect(said('MaxClientsInSessionMode: max clients reached', 'XX000')).toBe('too-many-connections');
  expect(said('connect ENOENT /run/postgresql/.s.PGSQL.5432', 'ENOENT')).toBe('refused');
  expect(said('connect EACCES 10.0.0.7:5432', 'EACCES')).toBe('unreachable');
  expect(said('timeout expired')).toBe('unreachable');
  expect(said('certificate has expired', 'CERT_HAS_EXPIRED')).toBe('tls');
  expect(said('out of shared memory', '53200')).toBe('unknown');
  // One error for each address of the name.
  const each = new AggregateError([new Error('connect ECONNREFUSED ::1:5432')], '');
  expect(connectionCauseOf(each)).toBe('refused');
});

it('a server that hangs up', async () => {
  const server = createServer((socket) =>
    socket.on('error', () => undefined).once('data', () => socket.destroy()),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const { application } = await diagnose(appUrl((url) => (url.port = String(port))));
  server.close();
  expect(application?.cause).toBe('unreachable');
});

it('tells that every connection is taken, while the worker has a reserved one', async () => {
  const db = await pg.fresh();
  const url = appUrl().replace('DATABASE', db.name);
  const taken: Client[] = [];
  try {
    for (;;) {
      const client = new Client({ connectionString: url });
      client.on('error', () => undefined);
      await client.connect();
      taken.push(client);
    }
  } catch {
    // That was the last one.
  }
  const { runbooks, application } = await diagnoseIn(db, url);
  await Promise.all(taken.map((client) => client.end()));
  expect([runbooks.cause, application?.cause]).toEqual([null, 'too-many-connections']);
  expect(application?.detail).toMatch(/remaining connection slots|too many/);
});

it('a database that was closed, or made read-only, and who made it so', async () => {
  const db = await pg.fresh();
  const sql = (text: string) => runSql(pg.urlOf('postgres'), text);
  const causes = async () => {
    const { runbooks, application } = await diagnoseIn(db, appUrl().replace('DATABASE', db.name));
    return [runbooks.cause, application?.cause, application?.detail];
  };
  await sql(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`);
  expect(await causes()).toEqual(['read-only', 'read-only', expect.stringContaining('(set by: database)')]);
  await sql(`ALTER DATABASE ${db.name} RESET default_transaction_read_only`);
  await sql(`ALTER DATABASE ${db.name} ALLOW_CONNECTIONS false`);
  expect((await causes()).slice(0, 2)).toEqual(['closed', 'closed']);
});

it('another server behind the name', async () => {
  const { runbooks } = await diagnose(undefined, { identity: { systemIdentifier: '1234567890123456789' } });
  expect([runbooks.cause, runbooks.detail]).toEqual([
    'other-database',
    expect.stringContaining('instead of'),
  ]);
});

it('TLS that the server demands, a certificate that is not accepted, and who is not admitted at all', async () => {
  const { authority, admitAgain } = await demandTls(pg);
  try {
    const db = await pg.fresh();
    const causeOf = async (change: (url: URL) => void) => {
      const { application } = await diagnoseIn(db, appUrl(change).replace('DATABASE', db.name));
      return [application?.cause, application?.detail];
    };
    // Reloading takes the server a moment.
    for (let tries = 0; tries < 200; tries += 1) {
      const [cause] = await causeOf((url) => url.searchParams.set('sslmode', 'require'));
      if (cause === null) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const verified = (url: URL, host: string) => {
      url.hostname = host;
      url.searchParams.set('sslmode', 'verify-full');
      url.searchParams.set('sslrootcert', authority);
    };
    expect(await causeOf((url) => (url.username = 'strict'))).toEqual([
      'tls',
      expect.stringContaining('no encryption'),
    ]);
    expect(await causeOf((url) => (url.username = 'stranger'))).toEqual([
      'not-admitted',
      expect.stringContaining('no pg_hba.conf entry'),
    ]);
    expect(await causeOf((url) => verified(url, 'localhost'))).toEqual([null, expect.anything()]);
    expect(await causeOf((url) => verified(url, '127.0.0.1'))).toEqual([
      'tls',
      expect.stringMatching(/altname|does not match/i),
    ]);
    // Of an authority that nobody named.
    expect(await causeOf((url) => url.searchParams.set('sslmode', 'verify-full'))).toEqual([
      'tls',
      expect.stringMatching(/certificate|self.signed/i),
    ]);
  } finally {
    await admitAgain();
  }
});

describe('what the provider says, and what starts the server', () => {
  const server = (more: object) => ({ settleSeconds: 1, ...more });
  const withServer = async (more: object) => {
    const db = await pg.fresh();
    db.deps.config.services['shop']!.environments['production']!.database.server = {
      paused: ['suspended'],
      ...server(more),
    };
    return db;
  };
  const command = (...run: string[]) => ({
    command: { run, directory: '.', environment: {}, timeoutSeconds: 30 },
  });

  it('is read, and is no error where it cannot be', async () => {
    const suspended = await diagnoseIn(
      await withServer({ status: { ...command('echo', 'suspended'), maxAgeSeconds: 300 } }),
    );
    expect(suspended).toMatchObject({
      status: 'suspended',
      paused: true,
      statusDetail: 'its provider says: suspended',
    });
    const silent = await diagnoseIn(
      await withServer({ status: { ...command('sh', '-c', 'echo away >&2; exit 3'), maxAgeSeconds: 300 } }),
    );
    expect(silent).toMatchObject({ status: null, paused: false });
    expect(silent.statusDetail).toMatch(/^its status is not known: .*ended with status 3: away/);
  });

  it('is no reason to wait for ever, where its provider says nothing', async () => {
    const command = { run: ['sleep', '3600'], directory: '.', environment: {}, timeoutSeconds: 3_600 };
    const silent = await diagnoseIn(await withServer({ status: { command, maxAgeSeconds: 300 } }));
    expect(silent).toMatchObject({ runbooks: { cause: null }, status: null, asksStatus: true });
  });

  it('starts it with the token of the lease, and does nothing where nothing is configured', async () => {
    const db = await withServer({
      start: command('sh', '-c', 'echo $RUNBOOKS_SERVICE $RUNBOOKS_ENVIRONMENT $RUNBOOKS_FENCING_TOKEN'),
    });
    const fence = { target: 'shop/production', token: 41 };
    const start = (from: typeof db) =>
      runActivity(createDiagnoseActivities(from.deps).startDatabaseServer, { ...db.place, fence });
    expect(await start(db)).toMatchObject({ ran: true, detail: 'shop production 41' });
    expect(await start(await pg.fresh())).toMatchObject({ ran: false });
  });
});

// Last: the server is another one afterwards.
it('a server in recovery, and one that does not run', async () => {
  const db = await pg.fresh();
  const [row] = await db.query<{ data_directory: string }>('SHOW data_directory');
  const { uid, gid } = statSync(row!.data_directory);
  const signal = join(row!.data_directory, 'standby.signal');
  await pg.server.stop();
  writeFileSync(signal, '');
  chownSync(signal, uid, gid);
  const url = appUrl().replace('DATABASE', db.name);
  expect((await diagnoseIn(db, url)).runbooks.cause).toBe('refused');
  await pg.server.restart();
  const { runbooks, application } = await diagnoseIn(db, url);
  expect([runbooks.cause, application?.cause]).toEqual(['in-recovery', 'in-recovery']);
});

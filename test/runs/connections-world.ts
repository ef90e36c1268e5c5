/** The booking sample with limits of seconds, and ways to make its connections short. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { parseDocument } from 'yaml';
import { Client } from 'pg';
import { openIdleTransactions, type IdleTransactions } from '../../examples/booking/trouble';
import { until } from '../support/postgres';
import type { Driver } from './harness';

export interface SessionRow {
  pid: number;
  started: string;
  state: string;
  changed: string;
}

/** Writes limits of seconds into the stack's configuration. Call it before a worker reads it. */
export function shortenLimits(driver: Driver, webhookUrl: string): void {
  const document = parseDocument(readFileSync(driver.stack.configFile, 'utf8'));
  const service = ['services', 'booking'];
  const application = [...service, 'environments', 'production', 'application'];
  document.setIn([...service, 'connections'], {
    idleInTransactionSeconds: 1,
    // Longer than the statement_timeout of the application.
    longQuerySeconds: 8,
    graceSeconds: 3,
    poolStep: 5,
  });
  document.setIn([...service, 'notify'], [{ kind: 'webhook', name: 'chat', url: webhookUrl }]);
  document.deleteIn([...service, 'escalation']);
  document.setIn([...application, 'soakSeconds'], 4);
  // Slow enough to be killed in the middle.
  const command = document.getIn([...application, 'setPoolMax', 'run']) as { toJSON(): string[] };
  const quoted = command.toJSON().map((word) => `'${word}'`);
  document.setIn([...application, 'setPoolMax', 'run'], ['sh', '-c', `sleep 2; exec ${quoted.join(' ')}`]);
  writeFileSync(driver.stack.configFile, document.toString());
}

/** Takes messages to people. */
export async function startInbox(): Promise<{ url: string; messages: string[]; server: Server }> {
  const messages: string[] = [];
  const server = createServer((request, response) => {
    request.on('data', (text: Buffer) => messages.push(text.toString()));
    request.on('end', () => response.end('ok'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, messages, server };
}

/** Forgotten transactions, over their limit by now. */
export async function makeTrouble(
  driver: Driver,
  count: number,
  limitSeconds = 1,
): Promise<IdleTransactions> {
  const { stack } = driver;
  const databaseUrl = stack.booking.urls.production.app;
  const trouble = await openIdleTransactions({ databaseUrl, count, forMs: 280_000 });
  await until(async () => {
    const rows = await driver.sql(
      `SELECT FROM pg_stat_activity WHERE pid IN (${trouble.pids.join(', ')})
          AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '${limitSeconds + 0.1} s'`,
    );
    return rows.length === trouble.pids.length;
  });
  return trouble;
}

/** Every session of the sample's roles with what it does. */
export function sessionsOf(driver: Driver, application: string): Promise<SessionRow[]> {
  return driver.sql<SessionRow>(
    `SELECT pid, backend_start::text AS started, state, state_change::text AS changed FROM pg_stat_activity
      WHERE application_name = '${application}' AND datname = 'booking_production' ORDER BY pid`,
  );
}

export interface PoolNow {
  poolMax: number;
  poolUsed: number;
  poolWaiting: number;
}

export async function poolOf({ stack }: Driver): Promise<PoolNow> {
  return (await (await fetch(`${stack.app.url}/api/database/connection-limit`)).json()) as PoolNow;
}

/** Puts the size of the pool back, whatever the test before left. */
export async function setPool({ stack }: Driver, max: number): Promise<void> {
  const token = stack.booking.environment['BOOKING_OPERATIONS_TOKEN'];
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  await fetch(`${stack.app.url}/operations/pool`, { method: 'PUT', headers, body: JSON.stringify({ max }) });
}

/** That many customers who search all the time, beginning one after the other. */
export function searchOften(url: string, count: number): { stop(): Promise<void> } {
  let isOpen = true;
  const customers = Array.from({ length: count }, async (_, turn) => {
    await new Promise((resolve) => setTimeout(resolve, 800 * turn));
    while (isOpen) {
      await fetch(`${url}/slots`).then((answer) => answer.text());
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
  return {
    stop: async () => {
      isOpen = false;
      await Promise.all(customers);
    },
  };
}

/** That many customers at once whose searches hang: a superuser has locked what they read. */
export async function hangCustomers(driver: Driver, count: number): Promise<{ stop(): Promise<void> }> {
  const url = driver.stack.postgres.url.replace(/\/postgres$/, '/booking_production');
  const locker = new Client({ connectionString: url, application_name: 'maintenance by hand' });
  await locker.connect();
  await locker.query('BEGIN');
  await locker.query('LOCK TABLE slots IN ACCESS EXCLUSIVE MODE');
  let stopped = false;
  const customers = Array.from({ length: count }, async () => {
    while (!stopped)
      await fetch(`${driver.stack.app.url}/slots`).then(
        (answer) => answer.text(),
        () => undefined,
      );
  });
  return {
    stop: async () => {
      stopped = true;
      await locker.end();
      await Promise.all(customers);
    },
  };
}

/** Connections of a role that may have ten; four of them run a query that will not end, three of which do not listen. */
export async function hangReports(driver: Driver): Promise<{ reports: Client[]; stop(): Promise<void> }> {
  await driver.sql(
    `CREATE ROLE reporting LOGIN PASSWORD 'reporting-test' CONNECTION LIMIT 10;
     GRANT CONNECT ON DATABASE booking_production TO reporting`,
  );
  const url = new URL(driver.stack.booking.urls.production.app);
  [url.username, url.password] = ['reporting', 'reporting-test'];
  const open = async (application: string): Promise<Client> => {
    const client = new Client({ connectionString: url.href, application_name: application });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const all = await Promise.all(
    Array.from({ length: 10 }, (_, index) => open(index < 4 ? 'report' : 'idle')),
  );
  const stubborn = `DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$`;
  const reports = all.slice(0, 4);
  reports.forEach((client, index) => {
    client.query(index === 0 ? 'SELECT pg_sleep(600)' : stubborn).catch(() => undefined);
  });
  const stop = async (): Promise<void> => {
    await driver.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reporting'`);
    await Promise.all(all.map((client) => client.end().catch(() => undefined)));
  };
  return { reports, stop };
}

/** Says to everybody what a pooler says whose server starts. */
export async function startStartingServer(): Promise<{ port: number; stop(): Promise<void> }> {
  const text = Buffer.from('SFATAL\0C57P03\0Mthe database system is starting up\0\0');
  const length = Buffer.alloc(4);
  length.writeInt32BE(text.length + 4);
  const server = createTcpServer((socket) =>
    socket
      .on('error', () => undefined)
      .once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, text]))),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { port, stop: () => new Promise((resolve) => server.close(() => resolve())) };
}

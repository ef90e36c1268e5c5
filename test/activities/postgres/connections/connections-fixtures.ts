/** Sessions of every kind on a real server, and a service that may end some of them. */
import { Client } from 'pg';
import { createConnectionActivities } from '../../../../src/activities/postgres/connections/connection-activities';
import type { SessionRef } from '../../../../src/activities/postgres/connections/connection-facts';
import {
  runActivity,
  startTestPostgres,
  until,
  type FreshOptions,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';

export const PASSWORD = 'connections-test';

/** runbooks_root could end anything: where a session survives it, our own rule saved it and not the server's. */
const ROLES = `
  CREATE ROLE runbooks LOGIN PASSWORD '${PASSWORD}'; GRANT pg_monitor, pg_signal_backend TO runbooks;
  CREATE ROLE runbooks_root LOGIN SUPERUSER PASSWORD '${PASSWORD}';
  CREATE ROLE blind LOGIN PASSWORD '${PASSWORD}';
  CREATE ROLE dba LOGIN SUPERUSER PASSWORD '${PASSWORD}';
  CREATE ROLE shop_app LOGIN CONNECTION LIMIT 20 PASSWORD '${PASSWORD}';
  CREATE ROLE shop_report LOGIN PASSWORD '${PASSWORD}';
  CREATE ROLE shop_replica LOGIN REPLICATION PASSWORD '${PASSWORD}';
  CREATE TABLE orders AS SELECT i AS id, repeat('x', 200) AS note FROM generate_series(1, 10) i;
  GRANT ALL ON orders TO PUBLIC;`;

export async function startSessionServer(): Promise<TestPostgres> {
  return startTestPostgres({
    template: ROLES,
    settings: {
      max_connections: '40',
      max_prepared_transactions: '3',
      // One that comes soon and takes long.
      autovacuum_naptime: '1s',
      autovacuum_vacuum_cost_delay: '100ms',
      autovacuum_vacuum_cost_limit: '1',
    },
  });
}

export interface Sessions {
  db: TestDatabase;
  activities: ReturnType<typeof createConnectionActivities>;
  open(role: string, application?: string, more?: Record<string, unknown>): Promise<Client>;
  /** A transaction that is then forgotten. */
  forget(role: string, application?: string, more?: Record<string, unknown>): Promise<Client>;
  /** What a plan would say of a backend, whatever it is. */
  refOf(pid: number): Promise<SessionRef>;
  /** The same as soon as it is over its limit: an offender, or left alone. */
  overLimit(pid: number): Promise<SessionRef>;
  alive(ref: SessionRef): Promise<boolean>;
  terminate(refs: SessionRef[], token?: number): Promise<number[]>;
  close(): Promise<void>;
}

export async function openSessions(
  pg: TestPostgres,
  role: string,
  { service, ...options }: FreshOptions = {},
): Promise<Sessions> {
  const db = await pg.fresh({
    role: { user: role, password: PASSWORD },
    service: {
      maxDestructive: 5,
      connections: {
        idleInTransactionSeconds: 0.2,
        longQuerySeconds: 0.4,
        protect: { users: ['shop_report'], applications: ['payroll'] },
      },
      ...service,
    },
    ...options,
  });
  await db.query(`GRANT CREATE, CONNECT ON DATABASE ${db.name} TO runbooks, blind`);
  const activities = createConnectionActivities(db.deps);
  const clients: Client[] = [];

  const open: Sessions['open'] = async (user, application = 'shop', more = {}) => {
    const client = new Client({
      connectionString: pg.urlOf(db.name, { user, password: PASSWORD }),
      application_name: application,
      ...more,
    });
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  const refOf: Sessions['refOf'] = async (pid) => {
    const utc = (column: string): string =>
      `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
    const [ref] = await db.query<SessionRef>(
      `SELECT pid, ${utc('backend_start')} AS "backendStart",
              ${utc(`CASE state WHEN 'active' THEN query_start ELSE state_change END`)} AS since
         FROM pg_stat_activity WHERE pid = $1`,
      [pid],
    );
    if (ref === undefined) throw new Error(`there is no backend ${pid}`);
    return ref;
  };
  return {
    db,
    activities,
    open,
    refOf,
    forget: async (user, application, more) => {
      const client = await open(user, application, more);
      await client.query('BEGIN');
      await client.query('SELECT 1');
      return client;
    },
    overLimit: async (pid) => {
      await until(async () => {
        const { offenders, leftAlone } = await runActivity(activities.readConnections, db.place);
        return [...offenders, ...leftAlone].some((one) => one.pid === pid);
      });
      return refOf(pid);
    },
    alive: async ({ pid, backendStart }) => {
      const found = await db.query(
        'SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2::timestamptz',
        [pid, backendStart],
      );
      return found.length === 1;
    },
    terminate: async (sessions, token = 1) => {
      const fence = { target: 'shop/production', token };
      const { signalled } = await runActivity(activities.terminateSessions, { ...db.place, sessions, fence });
      return signalled;
    },
    close: async () => {
      await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
    },
  };
}

export function pidOf(client: Client): number {
  return (client as unknown as { processID: number }).processID;
}

import {
  failureOf,
  runActivity,
  runSql,
  until,
  type FreshOptions,
  type TestPostgres,
} from '../../../support/postgres';
import { openSessions, PASSWORD, pidOf, startSessionServer, type Sessions } from './connections-fixtures';

let pg: TestPostgres;
const opened: Sessions[] = [];
beforeAll(async () => {
  pg = await startSessionServer();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((sessions) => sessions.close()));
});
afterAll(() => pg?.stop());

async function start(role = 'runbooks', options: FreshOptions = {}): Promise<Sessions> {
  const sessions = await openSessions(pg, role, options);
  opened.push(sessions);
  return sessions;
}

const read = ({ activities, db }: Sessions) => runActivity(activities.readConnections, db.place);
const fence = (token: number) => ({ target: 'shop/production', token });

/** Runs a query that nobody waits for. `outcome` is its SQLSTATE, or `done`. */
async function startQuery(sessions: Sessions, sql: string) {
  const client = await sessions.open('shop_app', 'nightly report');
  const outcome = client.query(sql).then(
    () => 'done',
    (error: { code?: string }) => error.code ?? 'lost',
  );
  return { client, outcome, pid: pidOf(client) };
}

describe('reading the connections', () => {
  it('tells who is over which limit, and what is used of each limit', async () => {
    const sessions = await start();
    await sessions.db.query(`ALTER DATABASE ${sessions.db.name} CONNECTION LIMIT 30`);
    const idle = pidOf(await sessions.forget('shop_app', 'checkout'));
    const { pid: query } = await startQuery(sessions, 'SELECT pg_sleep(60)');
    await sessions.open('shop_app', 'pool');
    await Promise.all([idle, query].map(sessions.overLimit));
    const facts = await read(sessions);
    expect(facts.offenders.map(({ pid, offence, application }) => [pid, offence, application])).toEqual([
      [idle, 'idle in transaction', 'checkout'],
      [query, 'long query', 'nightly report'],
    ]);
    expect(facts.offenders[1]).toMatchObject({ user: 'shop_app', query: 'SELECT pg_sleep(60)' });
    expect(facts.offenders[0]).toMatchObject(await sessions.refOf(idle));
    expect(facts.limits).toEqual([
      { name: 'server', used: expect.any(Number), limit: 37 },
      { name: `database ${sessions.db.name}`, used: 4, limit: 30 },
      { name: 'role shop_app', used: 3, limit: 20 },
    ]);
    expect(facts.groups).toContainEqual(
      expect.objectContaining({ user: 'shop_app', application: 'pool', state: 'idle', count: 1 }),
    );
    expect(facts.settings).toMatchObject({ maxDestructive: 5, maxUtilisation: 0.8 });
  });

  it('does not count what is below its limit, however many there are', async () => {
    const sessions = await start('runbooks', {
      service: { connections: { idleInTransactionSeconds: 60, longQuerySeconds: 60 } },
    });
    await sessions.forget('shop_app');
    await startQuery(sessions, 'SELECT pg_sleep(60)');
    expect((await read(sessions)).offenders).toEqual([]);
  });

  it('removes secrets from the queries that it shows', async () => {
    const sessions = await start();
    const { pid } = await startQuery(sessions, `SELECT pg_sleep(60) /* password=hunter2 */`);
    await sessions.overLimit(pid);
    const text = JSON.stringify(await read(sessions));
    expect(text).toContain('pg_sleep');
    expect(text).not.toContain('hunter2');
  });

  it.each([
    ['blind', 'GRANT pg_read_all_stats, pg_signal_backend TO blind;'],
    ['half_blind', 'GRANT pg_signal_backend TO half_blind;'],
  ])('as %s says which GRANT is missing', async (role, grant) => {
    await runSql(
      pg.urlOf('postgres'),
      `DROP ROLE IF EXISTS half_blind; CREATE ROLE half_blind LOGIN PASSWORD '${PASSWORD}';
       GRANT pg_read_all_stats TO half_blind; GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC;`,
    );
    const sessions = await start(role, {
      sql: 'GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC',
    });
    const failure = await failureOf(read(sessions));
    expect(failure).toMatchObject({ type: 'MissingPrivilege', nonRetryable: true });
    expect(failure.message).toContain(grant);
  });

  it('says what to do when the server has no connection left', async () => {
    const sessions = await start();
    const greedy = async (): Promise<void> => {
      for (;;) await sessions.open('shop_report');
    };
    await greedy().catch(() => undefined);
    const failure = await failureOf(read(sessions));
    expect(failure).toMatchObject({ type: 'DatabaseUnreachable', nonRetryable: false });
    expect(failure.message).toMatch(/No connection is left for the runbooks, which docs\/operating.md says/);
  });
});

describe('ending sessions', () => {
  it('ends exactly those that are named, and waits until they have gone', async () => {
    const sessions = await start();
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => sessions.forget('shop_app', name)));
    const refs = await Promise.all([a!, b!, c!].map((client) => sessions.overLimit(pidOf(client))));
    const result = await runActivity(sessions.activities.terminateSessions, {
      ...sessions.db.place,
      sessions: refs.slice(0, 2),
      fence: fence(1),
    });
    expect({ ...result, signalled: result.signalled.sort() }).toEqual({
      asked: 2,
      signalled: [refs[0]!.pid, refs[1]!.pid].sort(),
      staying: [],
      earlierAttempts: false,
    });
    expect(await Promise.all(refs.map(sessions.alive))).toEqual([false, false, true]);
  });

  it('again, as after a lost worker, finds nobody, does no harm, and says that somebody was there before', async () => {
    const sessions = await start();
    const ref = await sessions.overLimit(pidOf(await sessions.forget('shop_app')));
    const input = { ...sessions.db.place, sessions: [ref], fence: fence(1) };
    const once = (attempt: number) =>
      runActivity(sessions.activities.terminateSessions, input, { attempt }).then(
        ({ signalled, earlierAttempts }) => ({ signalled, earlierAttempts }),
      );
    expect([await once(1), await once(2)]).toEqual([
      { signalled: [ref.pid], earlierAttempts: false },
      { signalled: [], earlierAttempts: true },
    ]);
  });

  it('spares another session that has the same process ID by now', async () => {
    const sessions = await start();
    const ref = await sessions.overLimit(pidOf(await sessions.forget('shop_app')));
    const earlier = { ...ref, backendStart: '2026-01-01T00:00:00.000000Z' };
    expect(await sessions.terminate([earlier])).toEqual([]);
    expect(await sessions.alive(ref)).toBe(true);
  });

  it('spares the same session in its next transaction', async () => {
    const sessions = await start();
    const client = await sessions.forget('shop_app');
    const before = await sessions.overLimit(pidOf(client));
    for (const sql of ['COMMIT', 'BEGIN', 'SELECT 2']) await client.query(sql);
    const after = await sessions.overLimit(pidOf(client));
    expect(await sessions.terminate([before])).toEqual([]);
    expect(await sessions.terminate([after])).toEqual([after.pid]);
  });

  it('spares a session that has committed meanwhile', async () => {
    const sessions = await start();
    const client = await sessions.forget('shop_app');
    const ref = await sessions.overLimit(pidOf(client));
    await client.query('COMMIT');
    expect(await sessions.terminate([{ ...ref, since: (await sessions.refOf(ref.pid)).since }])).toEqual([]);
    expect(await sessions.alive(ref)).toBe(true);
  });

  it('spares one that is over no limit any longer, because the limit was raised', async () => {
    const sessions = await start();
    const ref = await sessions.overLimit(pidOf(await sessions.forget('shop_app')));
    sessions.db.deps.config.services['shop']!.connections.idleInTransactionSeconds = 600;
    expect(await sessions.terminate([ref])).toEqual([]);
  });

  it.each([
    ['nobody is named', 0, 'EmptySelection'],
    ['more are named than maxDestructive', 6, 'TooManyTargets'],
  ])('refuses where %s, and ends nobody', async (_, count, type) => {
    const sessions = await start();
    const ref = await sessions.overLimit(pidOf(await sessions.forget('shop_app')));
    const failure = await failureOf(sessions.terminate(Array.from({ length: count }, () => ref)));
    expect(failure).toMatchObject({ type, nonRetryable: true });
    expect(await sessions.alive(ref)).toBe(true);
  });

  it('refuses an older holder of the lease, and ends nobody', async () => {
    const sessions = await start();
    const [first, second] = await Promise.all(
      ['a', 'b'].map(async (name) => sessions.overLimit(pidOf(await sessions.forget('shop_app', name)))),
    );
    expect(await sessions.terminate([first!], 7)).toEqual([first!.pid]);
    const failure = await failureOf(sessions.terminate([second!], 6));
    expect(failure).toMatchObject({ type: 'StaleFencingToken' });
    expect(await sessions.alive(second!)).toBe(true);
  });

  it('refuses another database than the registered one', async () => {
    const sessions = await start('runbooks', { identity: { systemIdentifier: '7000000000000000001' } });
    const pid = pidOf(await sessions.forget('shop_app'));
    const ref = await sessions.refOf(pid);
    expect(await failureOf(sessions.terminate([ref]))).toMatchObject({ type: 'WrongDatabase' });
    expect(await sessions.alive(ref)).toBe(true);
  });
});

describe('cancelling queries', () => {
  const cancel = async (sessions: Sessions, pid: number) => {
    const input = { ...sessions.db.place, sessions: [await sessions.overLimit(pid)], fence: fence(1) };
    const { signalled } = await runActivity(sessions.activities.cancelSessions, input);
    return { signalled, ref: input.sessions[0]! };
  };

  it('ends the query and keeps the session', async () => {
    const sessions = await start();
    const { outcome, pid, client } = await startQuery(sessions, 'SELECT pg_sleep(60)');
    const { signalled, ref } = await cancel(sessions, pid);
    expect(signalled).toEqual([pid]);
    expect(await outcome).toBe('57014');
    // What follows spares it: it runs another query, or none.
    expect(await sessions.terminate([ref])).toEqual([]);
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('of a session that does not listen is followed by its end', async () => {
    const sessions = await start();
    const { outcome, pid } = await startQuery(
      sessions,
      `DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$`,
    );
    const { ref } = await cancel(sessions, pid);
    expect(await sessions.alive(ref)).toBe(true);
    expect(await sessions.terminate([ref])).toEqual([pid]);
    expect(await outcome).toBe('57P01');
  });

  it('has no meaning for a session that is idle in a transaction', async () => {
    const sessions = await start();
    const { signalled } = await cancel(sessions, pidOf(await sessions.forget('shop_app')));
    expect(signalled).toEqual([]);
  });
});

describe('a second attempt', () => {
  it('spares a session that commits while it waits for the fence', async () => {
    const sessions = await start();
    const client = await sessions.forget('shop_app');
    const ref = await sessions.overLimit(pidOf(client));
    // It has a fence by now, and the second attempt has to wait for it, having looked for sessions of the first.
    await sessions.terminate([{ ...ref, pid: 1 }]);
    const other = await sessions.open('dba');
    await other.query('BEGIN; SELECT FROM durable_runbooks.fence FOR UPDATE');
    const input = { ...sessions.db.place, sessions: [ref], fence: fence(1) };
    const result = runActivity(sessions.activities.terminateSessions, input, { attempt: 2 });
    await until(async () => {
      const waiting = await sessions.db.query(
        `SELECT FROM pg_stat_activity WHERE application_name LIKE 'dr:%/2' AND wait_event_type = 'Lock'`,
      );
      return waiting.length === 1;
    });
    await client.query('COMMIT');
    await other.query('COMMIT');
    expect((await result).signalled).toEqual([]);
    expect(await sessions.alive(ref)).toBe(true);
  });
});

it('a session that takes its time to end is waited for', async () => {
  const sessions = await start();
  const ref = await sessions.overLimit(pidOf(await sessions.forget('shop_app')));
  let done = false;
  process.kill(ref.pid, 'SIGSTOP');
  try {
    const ended = sessions.terminate([ref]).finally(() => (done = true));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(done).toBe(false);
    process.kill(ref.pid, 'SIGCONT');
    expect(await ended).toEqual([ref.pid]);
    expect(await sessions.alive(ref)).toBe(false);
  } finally {
    if (!done) process.kill(ref.pid, 'SIGCONT');
  }
});

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { makeTrouble, sessionsOf, startStartingServer } from './connections-world';
import { serve } from '../support/local-server';
import { duringTests } from '../support/stand-in';
import { firing } from './alerts';
import { configure, titles } from './harness';
import { useSampleApp } from './sample-app';
import { runThroughKill } from './worker-process';

const { driver, app } = useSampleApp();
let watching = true;
beforeAll(() => void startWhenWanted());
beforeEach(async () => {
  // A test that failed may have left it stopped.
  await driver.sql('SELECT 1').catch(() => postgres().restart());
  delete database().server;
  for (const name of ['start-wanted', 'status']) rmSync(file(name), { force: true });
  await app.reset();
});
afterAll(() => void (watching = false));

const RUNBOOK = 'recoverDatabaseConnections';
const RESET = `ALTER ROLE booking_app CONNECTION LIMIT 40; ALTER DATABASE booking_production RESET default_transaction_read_only`;
const file = (name: string) => join(app.directory, name);
const database = () => app.service.environments['production']!.database;
const postgres = () => driver.stack.postgres;
const command = (...run: string[]) => ({ run, directory: '.', environment: {}, timeoutSeconds: 60 });

/** As a provider would: what it is asked to start is there a moment later. */
async function startWhenWanted(): Promise<void> {
  while (watching) {
    if (existsSync(file('start-wanted'))) {
      rmSync(file('start-wanted'));
      await postgres().restart();
      writeFileSync(file('status'), 'available');
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const startable = (...run: string[]) => ({
  status: { command: command('cat', file('status')), maxAgeSeconds: 300 },
  paused: ['suspended'],
  start: { command: command(...(run.length > 0 ? run : ['touch', file('start-wanted')])) },
  settleSeconds: 120,
});
const suspend = async () => {
  await postgres().stop();
  writeFileSync(file('status'), 'suspended');
};
/** It looks every minute, and when this comes. */
const lookNow = async (handle: WorkflowHandle) => {
  // It may have been resolved before.
  for (const status of ['firing', 'resolved'])
    await handle.signal('alert', { status, count: 1, at: new Date().toISOString() });
};

it('a database that answers is left alone', async () => {
  const { outcome, message } = await driver.run(RUNBOOK);
  expect([outcome, message]).toEqual([
    'NOTHING_TO_DO',
    expect.stringMatching(
      /^it answers the runbooks \(127.*booking_production as runbooks_migrator\) and the application \(.* as booking_app\); 2 health checks hold$/,
    ),
  ]);
});

describe('a server that its provider has paused', () => {
  it('is only reported in mode observe, stays so without an approval, and is started with one', async () => {
    database().server = startable();
    await suspend();
    const observed = await driver.run(RUNBOOK, { mode: 'observe' });
    expect(observed.outcome).toBe('OBSERVED');
    expect(observed.report.plan?.actions.map(({ action }) => action)).toEqual([
      'start the database server',
      'if its health checks fail although the database answers, restart the application',
    ]);
    expect(observed.report.plan?.actions[0]?.detail).toMatch(/^the runbooks: paused by its provider; /);
    expect(existsSync(file('start-wanted'))).toBe(false);

    const denied = await driver.start(RUNBOOK, { mode: 'propose' });
    const { id } = await driver.waiting(denied, 'approval');
    await driver.answer(denied, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(denied)).outcome).toBe('REJECTED');
    expect(readFileSync(file('status'), 'utf8')).toBe('suspended');

    const { outcome, message, report } = await driver.agree(await driver.start(RUNBOOK, { mode: 'propose' }));
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      'the database of booking/production answers and its application serves: the database server was started',
    ]);
    expect(report.facts).toMatchObject({
      cause: 'the runbooks: paused by its provider',
      remedy: 'the database server was started',
    });
    expect(titles(report)).toEqual(
      expect.arrayContaining(['Start the database server', 'It keeps serving', 'Post-mortem draft']),
    );
    // The pool of the sample connects anew by itself.
    expect(titles(report)).not.toContain('Restart the application');
  });
});

it('a server that its provider does not start is a task, and the run goes on when somebody has started it', async () => {
  database().server = startable('sh', '-c', 'echo no such key >&2; exit 1');
  await suspend();
  const handle = await driver.start(RUNBOOK, { alert: firing() });
  const { question } = await driver.waiting(handle, 'task');
  expect(question).toMatch(
    /resume it in its dashboard, .* It was tried already: its server could not be started: .*no such key/,
  );
  await postgres().restart();
  writeFileSync(file('status'), 'available');
  await lookNow(handle);
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.facts['remedy']]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(/^its server could not be started: .*, a person was asked to mend it$/),
  ]);
});

it('what only the application meets is waited for as well, and nobody says that it passed', async () => {
  const pooler = await startStartingServer();
  const usual = app.application.databaseUrl;
  database().server = { paused: ['suspended'], settleSeconds: 0 };
  app.application.databaseUrl = `postgresql://booking_app:secret@127.0.0.1:${pooler.port}/x`;
  try {
    const handle = await driver.start(RUNBOOK, { alert: firing() });
    const { question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(
      /^The database .*starting up.* It was tried already: it was waited for, in vain\./,
    );
    app.application.databaseUrl = usual;
    await lookNow(handle);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  } finally {
    app.application.databaseUrl = usual;
    await pooler.stop();
  }
});

it('a stopped server that nobody told how to start is a task, and the run goes on when it answers', async () => {
  await postgres().stop();
  const handle = await driver.start(RUNBOOK, { alert: firing() });
  const { question } = await driver.waiting(handle, 'task');
  expect(question).toMatch(
    /The runbooks at 127.*: connection refused \(.*ECONNREFUSED.*\)\. Please: nothing listens there: .* This run goes on by itself/,
  );
  const { plan } = await driver.until(handle, ({ plan: made }) => made !== undefined);
  expect(plan?.warnings).toEqual(
    expect.arrayContaining([
      'whether the server is paused is not known: no database.server.status is configured',
      'database.server.start is not configured: to start or resume the server is a task for a person',
    ]),
  );
  await postgres().restart();
  await lookNow(handle);
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.facts['remedy']]).toEqual(['SUCCEEDED', 'a person was asked to mend it']);
});

it('a password that the application does not have any more is a task, then the run finds what is left', async () => {
  const password = decodeURIComponent(new URL(process.env['BOOKING_APP_DATABASE_URL']!).password);
  await driver.sql(`ALTER ROLE booking_app PASSWORD 'of next year'`);
  try {
    const written = () =>
      driver.sql(`SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS changes FROM pg_stat_user_tables
                   WHERE schemaname = 'durable_runbooks' ORDER BY 1`);
    const before = [await written(), app.state()];
    const observed = await driver.run(RUNBOOK, { mode: 'observe' });
    expect(observed.outcome).toBe('OBSERVED');
    expect([await written(), app.state()]).toEqual(before);

    const handle = await driver.start(RUNBOOK, { alert: firing() });
    const { question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(/The application at .* user or password is not accepted \(.*"booking_app"\)/);
    // Half mended: it says what is wrong now.
    await driver.sql(
      `ALTER ROLE booking_app PASSWORD '${password}'; ALTER ROLE booking_app CONNECTION LIMIT 0`,
    );
    await driver.sql(`ALTER DATABASE booking_production SET default_transaction_read_only = on`, 'postgres');
    await lookNow(handle);
    await driver.until(handle, ({ waiting }) =>
      waiting.some((one) => /read-only|too many/.test(one.question)),
    );
    await driver.sql(RESET, 'postgres');
    await lookNow(handle);
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.facts['cause']]).toEqual([
      'SUCCEEDED',
      'the application: user or password is not accepted',
    ]);
    expect(JSON.stringify(report)).not.toContain(password);
  } finally {
    await driver.sql(`ALTER ROLE booking_app PASSWORD '${password}'; ${RESET}`, 'postgres');
  }
});

it('too many connections are relieved by the runbook that can do that, as a part of this one', async () => {
  app.service.connections.idleInTransactionSeconds = 1;
  const trouble = await makeTrouble(driver, 20);
  try {
    const [now] = await driver.sql<{ count: number }>(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = 'booking_app'`,
    );
    // Less than there are, so that one that closes by itself makes no room.
    await driver.sql(`ALTER ROLE booking_app CONNECTION LIMIT ${now!.count - 3}`);
    const { outcome, message, report } = await driver.run(RUNBOOK);
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      'the database of booking/production answers and its application serves: the connections were relieved',
    ]);
    expect(titles(report)).toContain('Relieve the connections');
    expect(await sessionsOf(driver, 'booking-trouble')).toEqual([]);
    expect(report.timeline.map(({ detail }) => detail).join('\n')).toMatch(
      /too many connections for role "booking_app"/,
    );
  } finally {
    await driver.sql(`ALTER ROLE booking_app CONNECTION LIMIT 40`);
    await trouble.stop();
  }
});

describe('an application that does not come back although the database answers', () => {
  let isWell: () => boolean;
  let asked: number;
  let onAsked: () => void;
  const server = duringTests(() =>
    serve((_, response) => {
      asked += 1;
      onAsked();
      response.writeHead(isWell() ? 200 : 503).end();
    }),
  );
  beforeEach(() => {
    rmSync(file('restarted'), { force: true });
    asked = 0;
    onAsked = () => undefined;
    app.application.health = [{ name: 'ready', url: server.url, timeoutMs: 5_000 }];
    app.application.restart = command('touch', file('restarted'));
  });

  it('is restarted, and serves', async () => {
    isWell = () => existsSync(file('restarted'));
    const { outcome, report } = await driver.run(RUNBOOK);
    expect([outcome, report.facts['remedy']]).toEqual(['SUCCEEDED', 'the application was restarted']);
  });

  it('that a restart does not help either is said, and people are called', async () => {
    isWell = () => false;
    const { outcome, message } = await driver.run(RUNBOOK);
    expect([outcome, message]).toEqual([
      'PARTIAL',
      expect.stringMatching(/serves again: .*changed and not undone: the application was restarted$/),
    ]);
    expect(existsSync(file('restarted'))).toBe(true);
  });

  it('is not restarted where the database is away again by then, but once that is mended', async () => {
    isWell = () => existsSync(file('restarted'));
    const usual = app.application.databaseUrl;
    const gone = new URL(process.env['BOOKING_APP_DATABASE_URL']!);
    gone.pathname = '/gone';
    // After the look at whether it comes back by itself, and before the one under the lease.
    onAsked = () => {
      if (asked === 3) app.application.databaseUrl = gone.href;
    };
    try {
      const handle = await driver.start(RUNBOOK, { alert: firing() });
      const { question } = await driver.waiting(handle, 'task');
      expect(question).toMatch(/The application at .*: the database does not exist /);
      expect(existsSync(file('restarted'))).toBe(false);
      app.application.databaseUrl = usual;
      await lookNow(handle);
      const { outcome, report } = await driver.end(handle);
      expect([outcome, report.facts['remedy']]).toEqual([
        'SUCCEEDED',
        'a person was asked to mend it, the application was restarted',
      ]);
    } finally {
      app.application.databaseUrl = usual;
    }
  });
});

// Last: the worker of this process goes.
it('a worker that is killed while the server is started: the next one starts it again, and goes on', async () => {
  const starts = file('starts');
  const script = `echo x >> ${starts}; test $(wc -l < ${starts}) -gt 1 || exec sleep 60; touch ${file('start-wanted')}`;
  configure(driver, { 'environments.production.database.server': startable('sh', '-c', script) });
  await driver.stack.worker.stop();
  await suspend();
  expect((await runThroughKill(driver, RUNBOOK, () => existsSync(starts))).outcome).toBe('SUCCEEDED');
  expect(readFileSync(starts, 'utf8')).toBe('x\nx\n');
});

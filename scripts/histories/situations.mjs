// What happens to the sample before, or beside, a run whose history is stored.
import { createRequire } from 'node:module';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const require = createRequire(import.meta.url);
const { Client } = require('pg');
const { openIdleTransactions } = require(join(root, 'dist/examples/booking/trouble.js'));
const { failDeliveries, leaveHolds, openGate, sellTwice, shutGate } = require(
  join(root, 'dist/examples/booking/spoil.js'),
);
const { chargeTwice } = require(join(root, 'dist/examples/booking/spoil-payments.js'));
const { deployVersion } = require(join(root, 'dist/examples/shared/deployments.js'));
const { ageKeys } = require(join(root, 'dist/examples/booking/keys.js'));
const { setSwitches } = require(join(root, 'dist/examples/booking/switches.js'));

/** Two vulnerable packages, of which one can be mended, and one that is outdated, as npm prints them. */
export function auditPackages({ config, directory }) {
  const audit = {
    auditReportVersion: 2,
    vulnerabilities: {
      left: {
        ...{ name: 'left', severity: 'high', isDirect: true, via: [{ title: 'Left leaks' }] },
        fixAvailable: { name: 'left', version: '2.0.0', isSemVerMajor: true },
      },
      right: { name: 'right', severity: 'moderate', via: ['left'], fixAvailable: false },
    },
  };
  const outdated = { left: { current: '1.0.0', wanted: '1.0.4', latest: '2.0.0' } };
  const printing = (name, report) => {
    writeFileSync(join(directory, name), JSON.stringify(report));
    return { run: ['cat', name], directory, environment: {}, timeoutSeconds: 60 };
  };
  config.services.booking.dependencies = {
    audit: printing('audit.json', audit),
    outdated: printing('outdated.json', outdated),
  };
}

export function safetyBackup({ directory }) {
  const backups = readdirSync(join(directory, 'backups', 'booking', 'production'));
  return { backupId: backups.find((name) => name.endsWith('-before')) };
}

/** One payment is taken twice, and the application never heard of the second one. */
export async function payTwice(stack) {
  const { booking, payments } = await chargeTwice(
    stack.booking.environment.BOOKING_PRODUCTION_URL,
    stack.directory,
  );
  await asSuperuser(stack, `UPDATE payments SET status = 'failed' WHERE id = '${payments[1]}'`);
  return { booking, mode: 'propose' };
}

/** Over the sample's limit of five seconds when the run looks. */
export async function forgetTransactions({ booking }) {
  await openIdleTransactions({ databaseUrl: booking.urls.production.app, count: 3, forMs: 120_000 });
  await new Promise((resolve) => setTimeout(resolve, 6_000));
}

/** A provider has paused it, and starts it when it is told to. */
export async function pauseDatabase({ config, directory, postgres }) {
  const wanted = join(directory, 'start-wanted');
  const status = join(directory, 'status');
  const command = (...run) => ({ run, directory: '.', environment: {}, timeoutSeconds: 60 });
  config.services.booking.environments.production.database.server = {
    status: { command: command('cat', status), maxAgeSeconds: 300 },
    paused: ['suspended'],
    start: { command: command('touch', wanted) },
    settleSeconds: 120,
  };
  writeFileSync(status, 'suspended');
  await postgres.stop();
  const starting = setInterval(() => {
    if (!existsSync(wanted)) return;
    clearInterval(starting);
    void postgres.restart().then(() => writeFileSync(status, 'available'));
  }, 100);
}

/** Over the default of a second on average, in a table as large as is looked at, and with a backup to try an index on. */
export async function searchSlowly(stack) {
  await ownTable(stack, 'slow_visits');
  await asSuperuser(stack, 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  for (let call = 0; call < 5; call += 1)
    await asSuperuser(stack, 'SELECT *, pg_sleep(1.1) FROM slow_visits WHERE code = 77');
  const handle = await stack.client.workflow.start('backUpDatabase', {
    taskQueue: stack.config.temporal.taskQueue,
    workflowId: 'backUpDatabase/booking/before-tuning',
    args: [{ service: 'booking', startedBy: 'ana' }],
  });
  await handle.result();
}

export async function doubleIndexes(stack) {
  await ownTable(stack, 'doubled_visits');
  await asSuperuser(
    stack,
    'CREATE INDEX one_visit ON doubled_visits (code); CREATE INDEX other_visit ON doubled_visits (code)',
  );
}

/** The sample's stack lies wherever somebody put it, and it is off-peak there at any time. */
export async function leaveDeadRows(stack) {
  stack.config.services.booking.vacuum.offPeak = { from: '00:00', to: '00:00', timeZone: 'UTC' };
  await ownTable(stack, 'dead_visits');
  await asSuperuser(stack, 'DELETE FROM dead_visits WHERE code > 5000');
}

async function ownTable(stack, name) {
  await asSuperuser(
    stack,
    `CREATE TABLE ${name} (code int, note text) WITH (autovacuum_enabled = off); ALTER TABLE ${name} OWNER TO booking_owner;
     INSERT INTO ${name} SELECT i, repeat('x', 20) FROM generate_series(1, 20000) i; ANALYZE ${name}`,
  );
}

async function asSuperuser({ postgres }, statement) {
  const client = new Client({ connectionString: postgres.url.replace(/\/postgres$/, '/booking_production') });
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** A faulty job has deleted payments, past the foreign keys; there is a backup from before. */
export async function losePayments(stack) {
  const handle = await stack.client.workflow.start('backUpDatabase', {
    taskQueue: stack.config.temporal.taskQueue,
    workflowId: 'backUpDatabase/booking/before-corruption',
    args: [{ service: 'booking', startedBy: 'ana' }],
  });
  await handle.result();
  await asSuperuser(
    stack,
    'SET session_replication_role = replica; DELETE FROM payments WHERE id IN (SELECT id FROM payments ORDER BY created_at LIMIT 5)',
  );
}

export async function sellSlotsTwice({ booking }) {
  await sellTwice(booking.environment.BOOKING_PRODUCTION_URL, 3);
}

/** The job that releases them has stopped, for long enough that it shows. */
export async function leaveStuckHolds({ directory, booking }) {
  setSwitches(directory, { cronSchedule: '' });
  await leaveHolds(booking.environment.BOOKING_PRODUCTION_URL, 4);
  await new Promise((resolve) => setTimeout(resolve, 35_000));
}

/** For long enough that it shows. */
export async function tightenLimit({ directory }) {
  setSwitches(directory, { requestsPerSecond: 1 });
  await new Promise((resolve) => setTimeout(resolve, 5_000));
}

/** And somebody puts the gate back before the run looks. */
export async function publishPastTheGate({ booking }) {
  await openGate(booking.environment.BOOKING_PRODUCTION_URL, 3);
  await shutGate(booking.environment.BOOKING_PRODUCTION_URL);
}

/** More than two rounds. */
export async function leaveFailedWebhooks({ booking }) {
  await failDeliveries(booking.environment.BOOKING_PRODUCTION_URL, 45);
}

/** Long enough that customers notice. */
export async function deployBadly({ directory }) {
  deployVersion(directory, '1.5.0');
  await new Promise((resolve) => setTimeout(resolve, 5_000));
}

/** Nothing is wrong: going back does not help, and is taken back. */
export async function watchLong(stack) {
  applicationOf(stack).soakSeconds = 60;
  applicationOf(stack).errorRate.max = 1;
}

/** A rate that no release reaches: going back helps, and not enough. */
export async function deployAndExpectTooMuch(stack) {
  applicationOf(stack).soakSeconds = 5;
  applicationOf(stack).errorRate.max = -1;
  await deployBadly(stack);
}

function applicationOf({ config }) {
  return config.services.booking.environments.production.application;
}

export async function cancelWhileItVerifies(handle) {
  // Not before its first turn: until then nobody answers a query.
  const verifies = async () =>
    (await handle.query('status').catch(() => ({ timeline: [] }))).timeline.some(
      ({ movement }) => movement === 'verify',
    );
  while (!(await verifies())) await new Promise((resolve) => setTimeout(resolve, 100));
  await handle.cancel();
}

/** For as long as the sample's latency looks back. */
export async function searchWithoutCache({ directory }) {
  setSwitches(directory, { interestSeconds: 3, cacheTtlSeconds: 0 });
  await new Promise((resolve) => setTimeout(resolve, 15_000));
}

export async function leakMemory(stack) {
  setSwitches(stack.directory, { leakSince: Date.now(), interestSeconds: 0 });
  await untilProcess(stack, ({ memoryGrowthBytesAnHour: growth }) => growth > 6e9);
}

/** Other work on the machine takes its part of the processors. */
export async function keepProcessorBusy(stack) {
  stack.config.services.booking.environments.production.observe.measures['cpu-utilisation'].warning = 0.25;
  setSwitches(stack.directory, { busySince: Date.now() });
  await untilProcess(stack, ({ cpuUtilisation }) => cpuUtilisation > 0.3);
}

async function untilProcess({ app }, holds) {
  for (let tries = 0; tries < 1_200; tries += 1) {
    if (holds(await (await fetch(`${app.url}/api/metrics/process`)).json())) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the process never got there');
}

/** Over twice the sample's interval of ten seconds when the run looks. */
export async function loseSchedule({ directory }) {
  setSwitches(directory, { cronSchedule: '' });
  await new Promise((resolve) => setTimeout(resolve, 21_000));
}

/** Every message that an incident takes, a resolution that is refused, and one that is taken. */
export async function leadIncident(handle) {
  const say = async (name, words) => {
    try {
      return await handle.executeUpdate(name, { args: [{ by: 'ben', ...words }] });
    } catch (error) {
      return error.cause?.message ?? error.message;
    }
  };
  const until = async (holds) => {
    while (!holds((await handle.query('status')).incident))
      await new Promise((resolve) => setTimeout(resolve, 100));
  };
  await until(({ runbook }) => runbook !== undefined);
  await say('acknowledge', {});
  await say('severity', { severity: 'P0', reason: 'nothing goes through' });
  await say('update', { text: 'rolling back' });
  await say('resolve', { note: 'too early' });
  await until(({ runbook }) => runbook.endedAt !== undefined);
  await say('fact', { field: 'contributing', text: 'no smoke test searches' });
  await say('resolve', { note: 'rolled back', rootCause: 'a bad release' });
  await until(({ actions }) => actions.length > 0);
  await say('action', { text: 'Search in the smoke test', owner: 'cleo', due: '2099-01-01' });
  await say('meeting', { at: '2026-01-31T14:00:00Z' });
  for (const action of ['A1', 'A2', 'A3', 'A4']) await say('close-action', { action, note: 'done' });
}

/** One has not synced for an hour; the other one is expired, and its owner reconnects it when asked. */
export async function leaveCalendarsBehind({ config }) {
  require(join(root, 'test/cli/register.cjs'));
  const { CALENDAR_TOKEN, calendarSection, startCalendarApp } = require(
    join(root, 'test/simulators/calendar.ts'),
  );
  const { calendarSchema } = require(join(root, 'dist/src/activities/calendar/settings.js'));
  process.env.CALENDAR_TOKEN = CALENDAR_TOKEN;
  const app = await startCalendarApp();
  const { production } = config.services.booking.environments;
  production.calendar = calendarSchema.parse(calendarSection(app.url));
  app.addEvents('google', false);
  app.connect('google', { lastSyncAt: new Date(Date.now() - 3_600_000).toISOString(), writebackPending: 3 });
  const lost = app.connect('microsoft', { status: 'expired' });
  const reconnect = setInterval(() => {
    if (app.posts().some((call) => call.includes('writeback'))) lost.status = 'connected';
  }, 500);
  reconnect.unref();
}

/** The application takes no token, until its configuration is put in place again: clearing its cache is no help. */
export async function refuseTokens({ config }) {
  require(join(root, 'test/cli/register.cjs'));
  const { authSection, setAuthSecrets, startAuthApp } = require(join(root, 'test/simulators/auth.ts'));
  const { authSchema } = require(join(root, 'dist/src/activities/auth/settings.js'));
  setAuthSecrets();
  const app = await startAuthApp();
  config.services.booking.environments.production.authentication = authSchema.parse(authSection(app.url));
  app.state.instead['/me'] = { status: 500, body: '{}' };
  app.state.redeployMends = '/me';
}

/** Older than the sample's objective, with a time of sessions that is over soon. */
export async function letKeysAge(stack) {
  const { production } = stack.config.services.booking.environments;
  Object.assign(production.secrets['session-signing'], { graceMinutes: 0.02 });
  ageKeys(stack.directory, 100);
}

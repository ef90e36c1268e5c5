import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetch } from 'undici';
import { parseDocument } from 'yaml';
import type { Example, ExampleParts, RunningExample } from '../example';
import { setUpDeployments } from '../shared/deployments';
import { writeConfig } from '../shared/config';
import { createDatabase, createRoles, urlFor, withClient } from '../shared/database';
import { exampleFile, exampleProgram } from '../shared/files';
import { startReceiver, type Receiver } from '../shared/receiver';
import { newSecret } from '../shared/secrets';
import { readState, writeState } from '../shared/state-file';
import { startCalendars, type CalendarServer } from '../simulators/calendars';
import { startCi } from '../simulators/ci';
import { startMail, type MailServer } from '../simulators/mail';
import { startApp, type AppointmentsApp } from './app';
import { DEFAULT_SWITCHES, followSwitches, readSwitches } from './switches';

export interface RunningAppointments extends RunningExample {
  app: AppointmentsApp;
  receiver: Receiver;
  calendars: CalendarServer;
  mail: MailServer;
  /** Of a superuser, for the live database. */
  databaseUrl: string;
}

const NAME = 'appointments';
const text = (name: string): string => readFileSync(exampleFile(NAME, name), 'utf8');

export const example = {
  name: NAME,
  title: 'Appointments: bookings, webhooks, Google and Microsoft calendars, e-mails',
  needs: [],
  start: async (parts: ExampleParts): Promise<RunningAppointments> => {
    const stops: (() => unknown)[] = [];
    const stop = async (): Promise<void> => {
      for (const end of stops.splice(0).reverse()) await end();
    };
    try {
      return { ...(await start(parts, stops)), stop };
    } catch (error) {
      await stop();
      throw error;
    }
  },
} satisfies Example;

async function start(
  { adminUrl, directory, inboxUrl, progress }: ExampleParts,
  stops: (() => unknown)[],
): Promise<Omit<RunningAppointments, 'stop'>> {
  const urls = await createDatabases(adminUrl, progress);
  const configFile = await writeConfig({ example: NAME, adminUrl, directory });
  // Copies, so that one can change a migration and see what becomes of it.
  cpSync(exampleFile(NAME, 'migrations'), join(directory, 'migrations'), { recursive: true });
  setUpDeployments(directory);

  progress('the servers of others');
  let switches = { ...DEFAULT_SWITCHES, ...readSwitches(directory) };
  stops.push(followSwitches(directory, (now) => (switches = now)));
  const calendars = await startCalendars({ mood: (provider) => switches.calendars[provider] });
  stops.push(calendars.stop);
  const receiver = await startReceiver({ service: NAME, mood: () => switches.receiver });
  stops.push(receiver.stop);
  const mail = await startMail({ mood: () => switches.mail });
  stops.push(mail.stop);
  const ci = await startCi({ conclusion: () => switches.ci });
  stops.push(ci.stop);

  progress('the application');
  const token = newSecret();
  const app = await startApp({
    databaseUrl: urls.app,
    token,
    linkKey: linkKey(directory),
    directory,
    calendarsUrl: calendars.url,
    mailUrl: mail.url,
    receiverUrl: receiver.url,
    switches: () => switches,
  });
  stops.push(app.stop);
  await connectCalendars(urls.app, app.url);
  nameLinks(configFile, app.url);
  return {
    app,
    receiver,
    calendars,
    mail,
    databaseUrl: urlFor(adminUrl, `${NAME}_production`),
    configFile,
    environment: {
      APPOINTMENTS_URL: app.url,
      APPOINTMENTS_TOKEN: token,
      APPOINTMENTS_DATABASE_URL: urls.migrator,
      APPOINTMENTS_APP_DATABASE_URL: urls.app,
      APPOINTMENTS_STAGING_DATABASE_URL: urls.staging,
      APPOINTMENTS_CI_URL: ci.url,
      APPOINTMENTS_INBOX_URL: inboxUrl,
      APPOINTMENTS_ALERTS_TOKEN: newSecret(),
    },
    addresses: { Application: app.url, Health: `${app.url}/health` },
    trouble: exampleProgram(NAME, 'trouble.js'),
    firstSteps: FIRST_STEPS,
  };
}

/** Production and staging, each with the same few hundred rows. */
async function createDatabases(adminUrl: string, progress: (doing: string) => void) {
  const logins = ['appointments_app', 'appointments_migrator'] as const;
  const passwords = await createRoles(adminUrl, text('roles.sql'), logins);
  const owner = 'appointments_owner';
  for (const environment of ['production', 'staging']) {
    progress(`the database of ${environment}`);
    await createDatabase({
      adminUrl,
      name: `${NAME}_${environment}`,
      owner,
      comment: 'Appointment service (example data)',
      connect: ['appointments_app'],
      connectionLimit: 60,
      fill: async (admin) => {
        await admin.query(`SET ROLE ${owner}; SET timezone = 'UTC'`);
        await admin.query(text('schema.sql'));
        await admin.query(text('data.sql'));
        await admin.query('RESET ROLE');
        await admin.query('VACUUM (ANALYZE)');
      },
    });
  }
  const url = (environment: string, role: (typeof logins)[number]) =>
    urlFor(adminUrl, `${NAME}_${environment}`, role, passwords[role]);
  return {
    app: url('production', 'appointments_app'),
    migrator: url('production', 'appointments_migrator'),
    staging: url('staging', 'appointments_migrator'),
  };
}

/** The same at every start: links in e-mails that went out go on working. */
function linkKey(directory: string): string {
  const file = join(directory, 'link-key.json');
  const there = readState<{ key: string }>(file);
  if (there !== undefined) return there.key;
  const key = newSecret();
  writeState(file, { key }, 0o600);
  return key;
}

/** As owners do who see this for the first time: each opens the link, and agrees. */
async function connectCalendars(databaseUrl: string, appUrl: string): Promise<void> {
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query<{ id: string; provider: string }>(
      `SELECT id::text, provider FROM calendar_connections WHERE status = 'disconnected' ORDER BY id`,
    ),
  );
  for (const { id, provider } of rows) {
    const answer = await fetch(`${appUrl}/v0/calendar/${provider}/connect?for=${id}`);
    if (!answer.ok) throw new Error(`calendar ${id} of ${provider} was not connected: HTTP ${answer.status}`);
  }
}

/** Owners get these links in a message: they have to be complete. */
function nameLinks(configFile: string, appUrl: string): void {
  const config = parseDocument(readFileSync(configFile, 'utf8'));
  const path = ['services', NAME, 'environments', 'production', 'calendar', 'providers'];
  for (const provider of ['google', 'microsoft'])
    config.setIn(
      [...path, provider, 'reconnect'],
      `${appUrl}/v0/calendar/${provider}/connect?for={connection}`,
    );
  writeFileSync(configFile, config.toString({ lineWidth: 110, flowCollectionPadding: false }));
}

const FIRST_STEPS = [
  '# Whoever listens to webhooks is down. Guests go on booking, and what failed becomes overdue:',
  'trouble receiver-down',
  "until curl -sS $APPOINTMENTS_URL/metrics | grep '^appointments_webhook_deliveries_overdue [1-9]'; do sleep 1; done",
  '# They are there again, but nobody sends what failed. The alert starts the run that does:',
  'trouble well',
  'curl -sS $RUNBOOKS_ALERTS_URL/monitor \\',
  `  -H "Authorization: Bearer $APPOINTMENTS_ALERTS_TOKEN" \\`,
  `  -H 'Content-Type: application/json' \\`,
  `  -d '{"id":"webhooks-1","state":"firing","name":"AppointmentsWebhooksOverdue",`,
  `    "severity":"warning","title":"Webhooks are overdue"}'`,
  'runbooks status',
];

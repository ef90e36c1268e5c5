import { readFileSync } from 'node:fs';
import type { Example, ExampleParts, RunningExample } from '../example';
import { writeConfig } from '../shared/config';
import { createDatabase, createRoles, urlFor } from '../shared/database';
import { setUpDeployments } from '../shared/deployments';
import { exampleFile, exampleProgram } from '../shared/files';
import { newSecret } from '../shared/secrets';
import { startAssistant } from './app';

const NAME = 'assistant';
const DATABASE = 'assistant_production';

export const example: Example = {
  name: NAME,
  title: 'Assistant: answers the telephone, books, texts; Twilio, VAPI and Google Calendar',
  needs: [],
  start,
};

async function start({ adminUrl, directory, inboxUrl, progress }: ExampleParts): Promise<RunningExample> {
  progress('database');
  const urls = await createOwnDatabase(adminUrl);
  const configFile = await writeConfig({ example: NAME, adminUrl, directory });
  setUpDeployments(directory, ['2.3.0', '2.3.1']);
  progress('application');
  const apiKey = newSecret();
  const app = await startAssistant({ databaseUrl: urls.app, directory, apiKey });
  return {
    configFile,
    environment: {
      ASSISTANT_URL: app.url,
      ASSISTANT_API_KEY: apiKey,
      ASSISTANT_DATABASE_URL: urls.runbooks,
      ASSISTANT_STATUS_URL: app.statusUrl,
      ASSISTANT_INBOX_URL: inboxUrl,
      ASSISTANT_ALERTS_TOKEN: newSecret(),
      // Of the application: what makes trouble connects as it does.
      DATABASE_URL: urls.app,
    },
    addresses: { Application: `${app.url}/health/lb`, Metrics: `${app.url}/metrics` },
    trouble: exampleProgram(NAME, 'trouble.js'),
    firstSteps: FIRST_STEPS,
    stop: app.stop,
  };
}

async function createOwnDatabase(adminUrl: string): Promise<{ app: string; runbooks: string }> {
  const roles = readFileSync(exampleFile(NAME, 'roles.sql'), 'utf8');
  const passwords = await createRoles(adminUrl, roles, ['assistant_app', 'assistant_runbooks']);
  await createDatabase({
    adminUrl,
    name: DATABASE,
    owner: 'assistant_owner',
    comment: 'Assistant (sample data)',
    connect: ['assistant_app'],
    connectionLimit: 60,
    fill: async (admin) => {
      await admin.query('SET ROLE assistant_owner');
      await admin.query(readFileSync(exampleFile(NAME, 'schema.sql'), 'utf8'));
      await admin.query('RESET ROLE');
      await admin.query('VACUUM (ANALYZE)');
    },
  });
  const url = (role: keyof typeof passwords) => urlFor(adminUrl, DATABASE, role, passwords[role]);
  return { app: url('assistant_app'), runbooks: url('assistant_runbooks') };
}

const FIRST_STEPS = [
  'curl -sS -H "X-API-Key: $ASSISTANT_API_KEY" $ASSISTANT_URL/api/health/detailed',
  '',
  '# Make trouble, and send the alert that starts the run which ends it:',
  'trouble missed-backup',
  'curl -sS $RUNBOOKS_ALERTS_URL/monitor \\',
  `  -H "Authorization: Bearer $ASSISTANT_ALERTS_TOKEN" \\`,
  `  -H 'Content-Type: application/json' \\`,
  `  -d '{"id":"backup-1","state":"firing","name":"AssistantBackupOld",`,
  `    "severity":"warning","title":"No backup for three days"}'`,
  'runbooks status',
];

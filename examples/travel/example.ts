import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startMeilisearch } from '../simulators/meilisearch';
import type { Example, ExampleParts, RunningExample } from '../example';
import { writeConfig } from '../shared/config';
import { createDatabase, createRoles, urlFor } from '../shared/database';
import { setUpDeployments } from '../shared/deployments';
import { exampleFile, exampleProgram } from '../shared/files';
import { newSecret } from '../shared/secrets';
import { startTravelApp } from './app';
import { switches } from './switches';
import { startTraffic } from './traffic';

const NAME = 'travel';
const CONNECTIONS = 80;

export const example: Example = {
  name: NAME,
  title: 'Travel: quotes, holds and bookings; queues and limits in Redis, a search index',
  needs: ['redis'],
  start,
};

/** Databases that are there already are kept; passwords are new each time. */
async function setUpDatabases({
  adminUrl,
  progress,
}: ExampleParts): Promise<Record<'app' | 'runbooks' | 'staging', string>> {
  const passwords = await createRoles(adminUrl, readFileSync(exampleFile(NAME, 'roles.sql'), 'utf8'), [
    'travel_app',
    'travel_runbooks',
  ]);
  const schema = readFileSync(exampleFile(NAME, 'schema.sql'), 'utf8');
  for (const environment of ['production', 'staging']) {
    progress(`database of ${environment}`);
    await createDatabase({
      adminUrl,
      name: `travel_${environment}`,
      owner: 'travel_owner',
      comment: `TripAvail, ${environment}`,
      connect: ['travel_app', 'travel_runbooks'],
      connectionLimit: CONNECTIONS,
      fill: async (admin) => {
        await admin.query('SET ROLE travel_owner');
        await admin.query(schema);
      },
    });
  }
  const { travel_app: app, travel_runbooks: runbooks } = passwords;
  return {
    app: urlFor(adminUrl, 'travel_production', 'travel_app', app),
    runbooks: urlFor(adminUrl, 'travel_production', 'travel_runbooks', runbooks),
    staging: urlFor(adminUrl, 'travel_staging', 'travel_runbooks', runbooks),
  };
}

async function start(parts: ExampleParts): Promise<RunningExample> {
  const { adminUrl, directory, redisUrl = '', inboxUrl, progress } = parts;
  const urls = await setUpDatabases(parts);
  const configFile = await writeConfig({ example: NAME, adminUrl, directory });
  // Copies, so that one can change them and see what becomes of it.
  for (const folder of ['migrations', 'repository'])
    cpSync(exampleFile(NAME, folder), join(directory, folder), { recursive: true });
  setUpDeployments(directory, ['3.0.0', '3.0.1']);
  const secrets = {
    TRAVEL_OPERATIONS_TOKEN: newSecret(),
    TRAVEL_PAYMENTS_SECRET: newSecret(),
    TRAVEL_SEARCH_KEY: newSecret(),
    TRAVEL_ALERTS_TOKEN: newSecret(),
    TRAVEL_TEST_PASSWORD: newSecret(),
  };
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    progress('Meilisearch, the API and its customers');
    const search = await startMeilisearch(secrets.TRAVEL_SEARCH_KEY);
    stops.push(() => search.stop());
    const app = await startTravelApp({
      databaseUrl: urls.app,
      redisUrl,
      searchUrl: search.url,
      searchKey: secrets.TRAVEL_SEARCH_KEY,
      operationsToken: secrets.TRAVEL_OPERATIONS_TOKEN,
      paymentsSecret: secrets.TRAVEL_PAYMENTS_SECRET,
      directory,
    });
    stops.push(() => app.stop());
    await app.prepare({ email: 'runbooks@tripavail.example', password: secrets.TRAVEL_TEST_PASSWORD });
    let isUp = true;
    let changing = Promise.resolve();
    const stopFollowing = switches.follow(directory, ({ search: wanted }) => {
      if (isUp === (wanted === 'up')) return;
      isUp = !isUp;
      const change = isUp ? search.up : search.down;
      changing = changing.then(change);
    });
    stops.push(async () => {
      stopFollowing();
      await changing;
    });
    stops.push(startTraffic(app.url, secrets.TRAVEL_PAYMENTS_SECRET, () => switches.read(directory)));
    return {
      configFile,
      environment: {
        ...secrets,
        TRAVEL_PRODUCTION_URL: urls.runbooks,
        TRAVEL_STAGING_URL: urls.staging,
        TRAVEL_REDIS_URL: redisUrl,
        TRAVEL_SEARCH_URL: search.url,
        TRAVEL_APP_URL: app.url,
        TRAVEL_INBOX_URL: inboxUrl,
        // Of the application: what makes trouble connects as it does.
        DATABASE_URL: urls.app,
      },
      addresses: { Application: `${app.url}/health/ready`, Metrics: `${app.url}/metrics` },
      trouble: exampleProgram(NAME, 'trouble.js'),
      firstSteps: FIRST_STEPS,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const FIRST_STEPS = [
  '# Nobody reaches the search index; the alert starts the run which waits for it:',
  'trouble search-down',
  'curl -sS $RUNBOOKS_ALERTS_URL/monitor \\',
  `  -H "Authorization: Bearer $TRAVEL_ALERTS_TOKEN" \\`,
  `  -H 'Content-Type: application/json' \\`,
  `  -d '{"id":"search-1","state":"firing","name":"TravelSearchDown",`,
  `    "severity":"warning","title":"Meilisearch is down"}'`,
  'runbooks status',
  'trouble calm',
];

import { readFileSync, writeFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import type { Example, ExampleParts, RunningExample } from '../example';
import { exampleProgram } from '../shared/files';
import { withClient } from '../shared/database';
import { startStudio } from './app';
import { startProviders } from './providers';
import { setUpStudio } from './setup';
import { startStripeAccount } from './stripe-account';
import { startWriters } from './writers';

export const example: Example = {
  name: 'studio',
  title: 'Studio: autosaved documents, Stripe subscriptions, AI generations in Redis',
  needs: ['redis'],
  start,
};

const WRITERS = 4;
/** How long one answer of a model may take: longer would be right for long texts. */
const ANSWER_MS = 5_000;

async function start(parts: ExampleParts): Promise<RunningExample> {
  const { configFile, appDatabaseUrl, environment } = await setUpStudio(parts);
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  /** What has started is stopped where something after it cannot be. */
  const started = async <T extends { stop: () => Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const part = await starting;
    stops.push(() => part.stop());
    return part;
  };
  try {
    parts.progress('application');
    const key = environment.STUDIO_AI_KEY;
    const providers = await started(startProviders(key));
    const stripe = await started(
      startStripeAccount({
        databaseUrl: appDatabaseUrl,
        key: environment.STUDIO_STRIPE_KEY,
        secret: environment.STUDIO_STRIPE_SIGNING_SECRET,
      }),
    );
    fillIn(configFile, ['environments', 'production', 'stripe', 'baseUrl'], stripe.url);
    const app = await started(
      startStudio({
        databaseUrl: appDatabaseUrl,
        redisUrl: parts.redisUrl!,
        directory: parts.directory,
        operationsToken: environment.STUDIO_OPERATIONS_TOKEN,
        stripe: {
          url: stripe.url,
          key: environment.STUDIO_STRIPE_KEY,
          secret: environment.STUDIO_STRIPE_SIGNING_SECRET,
        },
        ai: {
          providers: {
            openai: { url: `${providers.url}/openai`, key },
            anthropic: { url: `${providers.url}/anthropic`, key },
          },
          timeoutMs: ANSWER_MS,
        },
      }),
    );
    stripe.deliverTo(app.url);
    const writers = startWriters(app.url, await someDocuments(appDatabaseUrl));
    stops.push(writers);
    return {
      configFile,
      environment: {
        ...environment,
        STUDIO_APP_URL: app.url,
        STUDIO_REDIS_URL: parts.redisUrl!,
        STUDIO_STRIPE_CONTROL_URL: stripe.controlUrl,
        STUDIO_PROVIDERS_URL: providers.url,
      },
      addresses: { Application: `${app.url}/health/ready` },
      trouble: exampleProgram('studio', 'trouble.js'),
      firstSteps: FIRST_STEPS,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** An address is no secret, and stands in the file. */
function fillIn(file: string, path: string[], value: string): void {
  const config = parseDocument(readFileSync(file, 'utf8'));
  config.setIn(['services', 'studio', ...path], value);
  writeFileSync(file, config.toString({ lineWidth: 110, flowCollectionPadding: false }));
}

/** Those that were written last. */
async function someDocuments(databaseUrl: string): Promise<string[]> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      'SELECT id FROM documents ORDER BY updated_at DESC LIMIT $1',
      [WRITERS],
    );
    return rows.map(({ id }) => id);
  });
}

const FIRST_STEPS = [
  '# Every save fails; the alert starts the run that rolls the release back and salvages what was lost:',
  'trouble bad-release',
  'curl -sS $RUNBOOKS_ALERTS_URL/monitor \\',
  `  -H "Authorization: Bearer $STUDIO_ALERTS_TOKEN" \\`,
  `  -H 'Content-Type: application/json' \\`,
  `  -d '{"id":"saves-1","state":"firing","name":"StudioAutosaveFails",`,
  `    "severity":"critical","title":"Saves fail"}'`,
  'runbooks status',
  '',
  '# Customers paid, and nobody told the application:',
  'trouble lost-events --count 12',
  'runbooks start replayStripeEvents --service studio --mode propose --watch',
];

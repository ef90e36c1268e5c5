import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { writeConfig } from '../shared/config';
import { createDatabase, createRoles, urlFor } from '../shared/database';
import { setUpDeployments } from '../shared/deployments';
import { exampleFile } from '../shared/files';
import { newSecret } from '../shared/secrets';
import type { ExampleParts } from '../example';
import { GOOD_RELEASE } from './drafts';

export interface StudioSetUp {
  configFile: string;
  /** Of the application's role in production: least privilege. */
  appDatabaseUrl: string;
  environment: Record<
    | 'STUDIO_PRODUCTION_URL'
    | 'STUDIO_STAGING_URL'
    | 'STUDIO_INBOX_URL'
    | 'STUDIO_OPERATIONS_TOKEN'
    | 'STUDIO_ALERTS_TOKEN'
    | 'STUDIO_SENTRY_SECRET'
    | 'STUDIO_STRIPE_KEY'
    | 'STUDIO_STRIPE_SIGNING_SECRET'
    | 'STUDIO_AI_KEY',
    string
  >;
}

/** Both databases, the folder of the state, runbooks.yaml. What is there already is kept; passwords are new each time. */
export async function setUpStudio(parts: Omit<ExampleParts, 'redisUrl'>): Promise<StudioSetUp> {
  const { adminUrl, directory, inboxUrl, progress } = parts;
  const sql = (name: string): string => readFileSync(exampleFile('studio', name), 'utf8');
  const passwords = await createRoles(adminUrl, sql('roles.sql'), ['studio_app', 'runbooks_migrator']);
  for (const environment of ['production', 'staging']) {
    progress(`${environment}: database`);
    await createDatabase({
      adminUrl,
      name: `studio_${environment}`,
      owner: 'studio_owner',
      comment: 'Studio (sample data)',
      connect: ['studio_app'],
      connectionLimit: 80,
      fill: (admin) => fill(admin, [sql('schema.sql'), sql('data.sql')]),
    });
  }
  const configFile = await writeConfig({ example: 'studio', adminUrl, directory });
  // Copies, so that one can change a migration and see what becomes of it.
  cpSync(exampleFile('studio', 'migrations'), join(directory, 'migrations'), { recursive: true });
  setUpDeployments(directory, ['2.3.0', GOOD_RELEASE]);
  const url = (environment: string, role: 'studio_app' | 'runbooks_migrator'): string =>
    urlFor(adminUrl, `studio_${environment}`, role, passwords[role]);
  return {
    configFile,
    appDatabaseUrl: url('production', 'studio_app'),
    environment: {
      STUDIO_PRODUCTION_URL: url('production', 'runbooks_migrator'),
      STUDIO_STAGING_URL: url('staging', 'runbooks_migrator'),
      STUDIO_INBOX_URL: inboxUrl,
      STUDIO_OPERATIONS_TOKEN: newSecret(),
      STUDIO_ALERTS_TOKEN: newSecret(),
      STUDIO_SENTRY_SECRET: newSecret(),
      // The mode of an account shows in its keys.
      STUDIO_STRIPE_KEY: `sk_test_${newSecret()}`,
      STUDIO_STRIPE_SIGNING_SECRET: `whsec_${newSecret()}`,
      STUDIO_AI_KEY: newSecret(),
    },
  };
}

async function fill(admin: Client, scripts: string[]): Promise<void> {
  await admin.query('SET ROLE studio_owner');
  for (const script of scripts) await admin.query(script);
  await admin.query('RESET ROLE');
  await admin.query('VACUUM (ANALYZE)');
}

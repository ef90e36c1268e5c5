import type { Client } from '@temporalio/client';
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createApplicationActivities } from '../activities/application/symptoms';
import { createFactsActivities } from '../activities/postgres/inspection/facts';
import type { LoadedConfig } from '../config/load';
import { secretsOf } from '../config/notification-schema';
import type { EnvironmentConfig, NotificationConfig, ServiceConfig } from '../config/schema';
import { resolveSecrets, scrub } from '../config/secrets';
import { traceTarget } from '../config/telemetry';
import { bytes } from '../contract/text';
import { approversProblem } from './approvers';
import { missingSearchAttributes, registration } from './search-attributes';
import { checkWorkers } from './workers';

export interface CheckLine {
  what: string;
  state: 'ok' | 'warning' | 'failed';
  detail: string;
}

/** A bracket around a connection to Temporal; throws with a sentence for people when there is none. */
export type WithTemporal = <T>(config: LoadedConfig, body: (temporal: Reached) => Promise<T>) => Promise<T>;

export interface Reached {
  client: Client;
  address: string;
  namespace: string;
  taskQueue: string;
}

/** Tries everything a configuration names without changing anything. Never throws: each problem is a line. */
export async function checkAll(config: LoadedConfig, withTemporal: WithTemporal): Promise<CheckLine[]> {
  const lines = [...(await checkTemporal(config, withTemporal)), ...(await checkTelemetry(config))];
  for (const [name, service] of Object.entries(config.services)) {
    for (const [environment, settings] of Object.entries(service.environments)) {
      lines.push(...(await checkDatabase(config, name, environment, settings)));
      lines.push(...(await checkHealth(config, name, environment, settings)));
    }
    lines.push(...checkFolders(config, name, service), ...checkNotifications(config, name, service.notify));
    lines.push(...checkPeople(name, service));
    const detail = approversProblem(service.approval);
    if (detail !== undefined) lines.push({ what: `${name} approvals`, state: 'warning', detail });
  }
  return lines;
}

async function attempt(what: string, body: () => Promise<string> | string): Promise<CheckLine> {
  try {
    return { what, state: 'ok', detail: await body() };
  } catch (error) {
    return { what, state: 'failed', detail: scrub((error as Error).message) };
  }
}

/** Of gRPC. */
const NOT_FOUND = 5;

/** Reaching it, and whether a worker would take a run. */
async function checkTemporal(config: LoadedConfig, withTemporal: WithTemporal): Promise<CheckLine[]> {
  const workers: CheckLine[] = [];
  const reached = await attempt('temporal', () =>
    withTemporal(config, async (temporal) => {
      const { client, address, namespace, taskQueue } = temporal;
      await describeNamespace(temporal);
      workers.push(await checkSearchAttributes(client), await checkWorkers(temporal, config));
      return `${address}, namespace ${namespace}, task queue ${taskQueue}`;
    }),
  );
  return [reached, ...workers];
}

async function describeNamespace({ client, address, namespace }: Reached): Promise<void> {
  try {
    await client.workflowService.describeNamespace({ namespace });
  } catch (error) {
    if ((error as { code?: number }).code !== NOT_FOUND) throw error;
    throw new Error(
      `${address} has no namespace "${namespace}". Another one: temporal.namespace, or TEMPORAL_NAMESPACE`,
    );
  }
}

/** Whether a collector takes traces; it is sent none. */
async function checkTelemetry(config: LoadedConfig): Promise<CheckLine[]> {
  const what = 'telemetry';
  try {
    const target = traceTarget(config);
    if (target === undefined) return [];
    const { tryCollector } = await import('../telemetry/exporter.js');
    const problem = await tryCollector(target);
    const url = scrub(target.url);
    if (problem === undefined) return [{ what, state: 'ok', detail: `traces go to ${url}` }];
    // Runs go on without it.
    return [{ what, state: 'warning', detail: `no traces: ${url} does not take them: ${problem}` }];
  } catch (error) {
    return [{ what, state: 'failed', detail: scrub((error as Error).message) }];
  }
}

/** An unregistered one blocks every run. A worker that may register them does so when it starts. */
async function checkSearchAttributes(client: Client): Promise<CheckLine> {
  const what = 'search attributes';
  const missing = await missingSearchAttributes(client);
  if (missing.length === 0) return { what, state: 'ok', detail: 'registered' };
  const detail = `${missing.join(', ')} missing: a worker registers them when it starts, where it may; else ${registration(missing, client.options.namespace)}`;
  return { what, state: 'warning', detail };
}

async function checkDatabase(
  config: LoadedConfig,
  service: string,
  environment: string,
  { database: { identity } }: EnvironmentConfig,
): Promise<CheckLine[]> {
  const what = `${service}/${environment} database`;
  const { readDatabaseFacts, readIdentity } = createFactsActivities({ config });
  const found = await attempt(what, async () => {
    const { systemIdentifier, database } = await readIdentity({ service, environment });
    if (systemIdentifier === identity.systemIdentifier && database === identity.database) {
      return `identity ${systemIdentifier}, database ${database}`;
    }
    throw new Error(
      `it says systemIdentifier ${systemIdentifier}, database ${database}; registered are ${identity.systemIdentifier}, ${identity.database}. If this is the right one, write under identity: { systemIdentifier: '${systemIdentifier}', database: ${database} }`,
    );
  });
  if (found.state === 'failed') return [found];
  const facts = await attempt(`${what} facts`, async () => {
    const read = await readDatabaseFacts({ database: { kind: 'service', service, environment } });
    const rows = read.canSeeAllRows ? '' : '; this role does not see all rows (needs BYPASSRLS for backups)';
    return `PostgreSQL ${read.serverVersion}, ${bytes(read.sizeBytes)}, ${read.tables} tables, role ${read.role}, client tools ${read.clientMajor}${rows}`;
  });
  return [found, facts.detail.includes('does not see all rows') ? { ...facts, state: 'warning' } : facts];
}

async function checkHealth(
  config: LoadedConfig,
  service: string,
  environment: string,
  { application }: EnvironmentConfig,
): Promise<CheckLine[]> {
  if (application === undefined || application.health.length === 0) return [];
  const { checkHealth: ask } = createApplicationActivities({ config });
  const line = await attempt(`${service}/${environment} health`, async () => {
    const checks = await ask({ service, environment });
    const text = checks.map(({ name, ok, detail }) => `${ok ? '' : 'FAILED '}${name}: ${detail}`).join('; ');
    if (checks.some(({ ok }) => !ok)) throw new Error(text);
    return text;
  });
  return [line];
}

function checkFolders(
  config: LoadedConfig,
  service: string,
  { migrations, backups }: ServiceConfig,
): CheckLine[] {
  const lines: CheckLine[] = [];
  const folder = resolve(config.directory, migrations.directory);
  if (migrations.command === undefined) {
    const there = existsSync(folder);
    lines.push({
      what: `${service} migrations`,
      state: there ? 'ok' : 'warning',
      detail: there ? folder : `${folder} does not exist`,
    });
  }
  if (backups === undefined) {
    const detail = 'none configured: no backup, no drill, and no migration of production';
    lines.push({ what: `${service} backups`, state: 'warning', detail });
  } else {
    const place = resolve(config.directory, backups.directory);
    const there = existsSync(place) || existsSync(dirname(place));
    lines.push({
      what: `${service} backups`,
      state: there ? 'ok' : 'warning',
      detail: there ? place : `neither ${place} nor its parent exists`,
    });
  }
  return lines;
}

/** Whether anybody would hear of an approval, of an incident, of a run that needs a person. */
function checkPeople(service: string, { notify, escalation }: ServiceConfig): CheckLine[] {
  const what = `${service} people`;
  if (notify.length === 0)
    return [
      {
        what,
        state: 'warning',
        detail:
          'no channel (`notify`): nobody is told of approvals, of incidents, or that a run needs a person',
      },
    ];
  if (escalation.length > 0) return [];
  return [
    {
      what,
      state: 'warning',
      detail:
        'no ladder (`escalation`): a page goes to every channel, and to the same ones again while nobody answers',
    },
  ];
}

/** Whether the secrets are there. Nothing is sent: a check must not page anybody. */
function checkNotifications(
  config: LoadedConfig,
  service: string,
  notifications: NotificationConfig[],
): CheckLine[] {
  return notifications.map((one) => {
    const what = `${service} notify ${one.name}`;
    try {
      for (const secret of secretsOf(one)) resolveSecrets(secret, config.directory);
      return { what, state: 'ok', detail: `${one.kind}, secrets resolved, nothing sent` };
    } catch (error) {
      return { what, state: 'failed', detail: scrub((error as Error).message) };
    }
  });
}

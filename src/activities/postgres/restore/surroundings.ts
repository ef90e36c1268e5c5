import { basename } from 'node:path';
import type { Client } from 'pg';
import type { Manifest } from '../backups/manifest';
import { readReplication } from '../backups/replication';
import type { Self } from './self';
import { describeLacking, lackingTablespaces } from './tablespaces';
import { isCarriedOver } from './target';
import type { Replication, Restorability } from '../../../contract/backup';

/** Kinds of entries of `pg_restore --list` that only a superuser may make. */
const SUPERUSER_KINDS =
  /^\d+; \d+ \d+ (EVENT TRIGGER|PUBLICATION TABLES IN SCHEMA|ACCESS METHOD|FOREIGN DATA WRAPPER|OPERATOR CLASS|OPERATOR FAMILY|TEXT SEARCH PARSER|TEXT SEARCH TEMPLATE) (?:-|\S+) (.+) \S+$/;

export function checkSuperuserObjects(
  { problems, warnings }: Restorability,
  listing: string[],
  manifest: Manifest,
  self: Self,
): void {
  if (self.superuser) return;
  const { publications = [], publicationsOfAllTables } = manifest;
  const found = [
    ...listing
      .map((line) => SUPERUSER_KINDS.exec(line))
      .filter((match) => match !== null)
      .map(([, kind, name]) => `${kind!.toLowerCase()} ${name}`),
    ...(publicationsOfAllTables ?? []).map((name) => `publication ${name} of all tables`),
  ];
  if (found.length > 0)
    problems.push(
      `only a superuser may create ${some(found)}, and ${self.name} is none: let the restore run as one`,
    );
  if (publicationsOfAllTables === undefined && publications.length > 0)
    warnings.push(
      `whether one of the publications ${publications.join(', ')} is of all tables, which only a superuser may create, this backup of an earlier release does not tell: a drill does`,
    );
}

/** What the former database takes from elsewhere would come in while it is saved and replaced. */
export async function checkSubscriptions(
  { problems }: Restorability,
  client: Client,
  live: string,
  self: Self,
): Promise<void> {
  if (self.superuser) return;
  const { subscriptions } = await readReplication(client, live);
  for (const { name, enabled } of subscriptions)
    if (enabled === true)
      problems.push(
        `the subscription ${name} goes on writing to ${live}, and ${self.name} may not end its worker: ALTER SUBSCRIPTION ${name} DISABLE`,
      );
}

/** These cannot be created, or do nothing, without their library. */
const NEEDS_PRELOADING = ['citus', 'pg_cron', 'pgaudit', 'timescaledb'];

/** What the source had around the database, and this server has not. */
export async function checkServer(
  { problems, warnings }: Restorability,
  client: Client,
  manifest: Manifest,
): Promise<void> {
  const lacking = await lackingTablespaces(client, manifest);
  if (lacking.length > 0)
    warnings.push(
      `${describeLacking(lacking)}; to have it otherwise, CREATE TABLESPACE or GRANT CREATE ON TABLESPACE first`,
    );
  const preloaded = await readPreloaded(client);
  const before = (manifest.preloadLibraries ?? []).map((library) => basename(library));
  if (preloaded === null) {
    if (before.length > 0)
      warnings.push(
        `the server it comes from preloaded ${before.join(', ')}; whether this one does is not shown to our role: GRANT pg_read_all_settings`,
      );
    return;
  }
  const missing = before.filter((library) => !preloaded.includes(library));
  const needed = missing.filter(
    (library) =>
      NEEDS_PRELOADING.includes(library) && manifest.extensions.some(({ name }) => name === library),
  );
  const add = (libraries: string[]): string =>
    `add ${libraries.join(', ')} to shared_preload_libraries and restart the server`;
  if (needed.length > 0)
    problems.push(
      `the extension ${needed.join(', ')} cannot be created before it is preloaded: ${add(needed)}`,
    );
  const rest = missing.filter((library) => !needed.includes(library));
  if (rest.length > 0)
    warnings.push(
      `the server it comes from preloaded ${rest.join(', ')}, and this one does not: ${add(rest)}`,
    );
}

/** The view shows it only to whoever may read it. */
async function readPreloaded(client: Client): Promise<string[] | null> {
  const { rows } = await client.query<{ setting: string }>(
    `SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'`,
  );
  return rows[0] === undefined
    ? null
    : rows[0].setting
        .split(',')
        .map((item) => basename(item.replace(/[ "]/g, '')))
        .filter((item) => item !== '');
}

/** Of a manifest that has their names only, these. */
export function replicationOf({ replication, replicationSlots, subscriptions }: Manifest): Replication {
  return (
    replication ?? {
      slots: replicationSlots.map((name) => ({ name, plugin: null })),
      subscriptions: subscriptions.map((name) => ({ name, publications: null })),
    }
  );
}

function some(names: string[]): string {
  const more = names.length > 10 ? ` and ${names.length - 10} more` : '';
  return `${names.slice(0, 10).join(', ')}${more}`;
}

export function checkLeftOut({ warnings }: Restorability, manifest: Manifest): void {
  if (manifest.properties.settings.some((setting) => !isCarriedOver(setting)))
    warnings.push('the database was read-only when it was backed up; the copy takes writes');
  const { excludedForeignTables } = manifest;
  if (excludedForeignTables.length > 0)
    warnings.push(`foreign tables come back without the rows of others: ${excludedForeignTables.join(', ')}`);
}

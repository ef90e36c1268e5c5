import { escapeIdentifier, escapeLiteral, type Client } from 'pg';
import { databaseOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import type { ConnectionOptions } from '../session/connection';
import { fail } from '../../support/failure';
import type { DatabaseMark } from '../session/identity';
import { inTransaction } from '../session/transaction';
import type { DatabaseProperties, Manifest, RoleEntry } from '../backups/manifest';
import { grantMembership, majorOf, mayBecome, membershipsOf } from './memberships';
import { lackingTablespaces } from './tablespaces';
import { commentDatabase, maintenanceDatabase } from './database-marks';
import { databaseIn, type DatabaseRef } from '../../../contract/place';

/** How to reach the server that a copy goes to, from a database that is not concerned. */
export function maintenanceOf(
  deps: ActivityDeps,
  into: DatabaseRef,
): { ref: DatabaseRef; options: ConnectionOptions } {
  if (into.kind === 'scratch') return { ref: { ...into, database: 'postgres' }, options: { identity: true } };
  const live = databaseOf(deps.config, into.service, into.environment).identity.database;
  return { ref: databaseIn(into), options: { identity: true, database: maintenanceDatabase(live) } };
}

/** Name of the copy. Throws InvalidInput where it would be the live database or one of the server's own. */
export function copyName(deps: ActivityDeps, into: DatabaseRef): string {
  const name = into.database;
  if (name === undefined || name === '')
    throw fail('InvalidInput', 'A restore needs the name of a database beside the live one.');
  if (name.length > 63) throw fail('InvalidInput', `The database name ${name} is longer than 63 letters.`);
  const live =
    into.kind === 'service'
      ? databaseOf(deps.config, into.service, into.environment).identity.database
      : undefined;
  if (name === live || ['postgres', 'template0', 'template1'].includes(name)) {
    throw fail(
      'InvalidInput',
      `A restore never goes over "${name}". Name a database beside it, e.g. ${live ?? 'app'}_restored.`,
    );
  }
  return name;
}

/** Creates an empty copy with the source's encoding and locale and our mark, closed to everybody but its owner and superusers. */
export async function createTarget(
  client: Client,
  name: string,
  manifest: Manifest,
  mark: DatabaseMark,
): Promise<void> {
  const { encoding, collate, ctype, localeProvider, icuLocale } = manifest.properties;
  const major = Math.floor(manifest.serverVersionNum / 10_000);
  const icu =
    major >= 15 && localeProvider !== 'c' && icuLocale !== null
      ? `LOCALE_PROVIDER ${localeProvider === 'i' ? 'icu ICU_LOCALE' : 'builtin BUILTIN_LOCALE'} ${escapeLiteral(icuLocale)}`
      : '';
  // Objects of the schema public can only be given to the owner of the database they are in.
  const owner = (await mayOwn(client, manifest.properties.owner))
    ? `OWNER ${escapeIdentifier(manifest.properties.owner)}`
    : '';
  const tablespace =
    mark.kind !== 'restored' || (await lackingTablespaces(client, manifest)).length > 0
      ? null
      : (manifest.properties.tablespace ?? null);
  const inTablespace = tablespace === null ? '' : `TABLESPACE ${escapeIdentifier(tablespace)}`;
  await client.query(
    `CREATE DATABASE ${escapeIdentifier(name)} ${owner} ${inTablespace} TEMPLATE template0 ENCODING ${escapeLiteral(encoding)}
       LC_COLLATE ${escapeLiteral(collate)} LC_CTYPE ${escapeLiteral(ctype)} ${icu}`,
  );
  await inTransaction(client, async () => {
    await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${escapeIdentifier(name)} FROM PUBLIC`);
    await commentDatabase(client, name, mark);
  });
}

async function mayOwn(client: Client, owner: string): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    `SELECT ${mayBecome('oid')} AS may FROM pg_roles WHERE rolname = $1`,
    [owner],
  );
  return rows[0]?.may === true;
}

/** Throws RestoreFailed where the target lacks an extension of the source: found before an hour of restoring, not after. */
export async function checkExtensions(client: Client, manifest: Manifest, left: Set<string>): Promise<void> {
  const { rows } = await client.query<{ name: string }>('SELECT name FROM pg_available_extensions');
  const available = new Set(rows.map(({ name }) => name));
  const missing = manifest.extensions
    .map(({ name }) => name)
    .filter((name) => !available.has(name) && !left.has(name));
  if (missing.length === 0) return;
  throw fail(
    'RestoreFailed',
    `The target server lacks the extension${missing.length > 1 ? 's' : ''} ${missing.join(', ')}. Install the packages there, then start again.`,
  );
}

/**
 * Roles that the database names and that the server lacks, with those that they are members of. Of a manifest that does not
 * tell which it names, all.
 */
export async function missingRoles(client: Client, roles: RoleEntry[]): Promise<RoleEntry[]> {
  const { rows } = await client.query<{ name: string }>('SELECT rolname AS name FROM pg_roles');
  const existing = new Set(rows.map(({ name }) => name));
  const byName = new Map(roles.map((role) => [role.name, role]));
  const missing = new Map<string, RoleEntry>();
  const add = (name: string): void => {
    const role = byName.get(name);
    if (role === undefined || existing.has(name) || missing.has(name)) return;
    missing.set(name, role);
    role.memberOf.forEach(add);
  };
  for (const { name, used = true } of roles) if (used) add(name);
  return [...missing.values()];
}

/**
 * Creates the roles that are missing, without passwords: a missing role silently loses its grants and policies. In a
 * disposable cluster none of them can log in.
 */
export async function createRoles(
  client: Client,
  roles: RoleEntry[],
  disposable: boolean,
): Promise<string[]> {
  const missing = await missingRoles(client, roles);
  for (const role of missing) {
    const attributes = [
      role.inherit ? 'INHERIT' : 'NOINHERIT',
      role.login && !disposable ? 'LOGIN' : 'NOLOGIN',
      // On a real server a person decides who is a superuser; in a disposable one owners of event triggers must be.
      disposable && role.superuser ? 'SUPERUSER' : '',
      disposable && role.bypassRls ? 'BYPASSRLS' : '',
    ];
    await client.query(`CREATE ROLE ${escapeIdentifier(role.name)} ${attributes.join(' ')}`);
  }
  const major = await majorOf(client);
  for (const role of missing) {
    for (const membership of membershipsOf(role)) await grantMembership(client, role.name, membership, major);
    // Objects can only be given to a role that one is a member of; a superuser is one of all.
    if (role.owner === true && !disposable) await joinRole(client, role.name, major);
  }
  return missing.map(({ name }) => name);
}

/** From 16 whoever makes a role may do with it what `createrole_self_grant` says, which is nothing by itself. */
async function joinRole(client: Client, name: string, major: number): Promise<void> {
  const { rows } = await client.query<{ joined: boolean }>(
    `SELECT ${mayBecome('oid')} AND pg_has_role(oid, 'USAGE') AS joined FROM pg_roles WHERE rolname = $1`,
    [name],
  );
  if (rows[0]?.joined === true) return;
  const how = major >= 16 ? ' WITH INHERIT TRUE, SET TRUE' : '';
  await client.query(`GRANT ${escapeIdentifier(name)} TO CURRENT_USER${how}`);
}

/** What no dump brings back: owner, grants, settings, connection limit. The last step, it opens the copy. */
export async function applyProperties(client: Client, name: string, manifest: Manifest): Promise<void> {
  const { owner, grants, settings, connectionLimit } = manifest.properties;
  const database = escapeIdentifier(name);
  await inTransaction(client, async () => {
    await client.query(`ALTER DATABASE ${database} OWNER TO ${escapeIdentifier(owner)}`);
    await client.query(`ALTER DATABASE ${database} CONNECTION LIMIT ${Math.trunc(connectionLimit)}`);
    for (const { role, name: setting, value } of settings.filter(isCarriedOver)) {
      const who =
        role === null ? `DATABASE ${database}` : `ROLE ${escapeIdentifier(role)} IN DATABASE ${database}`;
      await client.query(
        `ALTER ${who} SET ${setting.split('.').map(escapeIdentifier).join('.')} TO ${settingValue(setting, value)}`,
      );
    }
    for (const { grantee, privilege, grantable } of grants.filter((grant) => grant.grantee !== owner)) {
      const who = grantee === 'PUBLIC' ? 'PUBLIC' : escapeIdentifier(grantee);
      if (!/^[A-Z]+$/.test(privilege)) continue;
      await client.query(
        `GRANT ${privilege} ON DATABASE ${database} TO ${who}${grantable ? ' WITH GRANT OPTION' : ''}`,
      );
    }
  });
}

/** A copy that takes over takes writes, whatever the database was when it was backed up: see the preflight's warning. */
export function isCarriedOver({ role, name }: DatabaseProperties['settings'][number]): boolean {
  return role !== null || name !== 'default_transaction_read_only';
}

/** Settings that are lists are stored as one text and must not be quoted as one name. */
function settingValue(setting: string, value: string): string {
  const lists = [
    'search_path',
    'temp_tablespaces',
    'session_preload_libraries',
    'local_preload_libraries',
    'datestyle',
  ];
  if (!lists.includes(setting.toLowerCase())) return escapeLiteral(value);
  const items = value.match(/"(?:[^"]|"")*"|[^,]+/g) ?? [''];
  return items
    .map((item) =>
      escapeLiteral(
        item
          .trim()
          .replace(/^"(.*)"$/s, '$1')
          .replaceAll('""', '"'),
      ),
    )
    .join(', ');
}

import { join } from 'node:path';
import type { Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { NEVER_IN_SCRATCH } from './load';
import { mayBecome, membershipsOf } from './memberships';
import { isCarriedOver, missingRoles } from './target';
import { inMaintenance, liveName } from './maintenance';
import { readSelf, type Self } from './self';
import {
  checkLeftOut,
  checkServer,
  checkSubscriptions,
  checkSuperuserObjects,
  replicationOf,
} from './surroundings';
import { readListing } from '../backups/completeness';
import { backupFolder, DATA_FOLDER, readManifest, type Manifest } from '../backups/manifest';
import { openTools } from '../session/tools';
import type { BackupRef, Restorability } from '../../../contract/backup';

/**
 * Whether the server of an environment could take a restore of that backup, by what can be known before: versions, rights of
 * our role, extensions, roles, open prepared transactions. `problems` would end the restore; `warnings` are what it
 * does beside, or leaves out. Reads only. Throws BackupIncomplete, BackupCorrupt and what a session can throw.
 */
export async function checkRestorable(deps: ActivityDeps, input: BackupRef): Promise<Restorability> {
  const folder = backupFolder(deps, input.service, input.environment, input.backupId);
  const { manifest } = await readManifest(folder);
  const tools = await openTools(deps);
  const listing = await readListing(tools, join(folder, DATA_FOLDER));
  return inMaintenance(
    deps,
    input,
    async (client) => {
      const self = await readSelf(client);
      const found: Restorability = { problems: [], warnings: [], replication: replicationOf(manifest) };
      checkVersions(found, manifest, self, tools.major);
      checkRights(found, self);
      await checkLive(found, client, liveName(deps, input), self);
      await checkExtensions(found, client, manifest, self);
      await checkRoles(found, client, manifest, self);
      checkSuperuserObjects(found, listing, manifest, self);
      await checkSubscriptions(found, client, liveName(deps, input), self);
      await checkServer(found, client, manifest);
      checkLeftOut(found, manifest);
      return found;
    },
    { action: 'see whether the server can take the restore' },
  );
}

function checkVersions({ problems }: Restorability, manifest: Manifest, self: Self, client: number): void {
  const backup = Math.floor(manifest.serverVersionNum / 10_000);
  if (self.major < backup)
    problems.push(
      `the server is PostgreSQL ${self.major} and the backup is of ${backup}: restore into ${backup} or newer`,
    );
  if (client < backup || client < self.major)
    problems.push(
      `the client tools of the worker are ${client}: name those of ${Math.max(backup, self.major)} in postgresBin`,
    );
}

function checkRights({ problems }: Restorability, self: Self): void {
  const { name, createDatabase, signals, sees, creates, bypassesRls } = self;
  if (!sees)
    problems.push(
      `${name} does not see the sessions of others, which have to end: ${grantOf('pg_monitor', self, 'INHERIT')}`,
    );
  if (!bypassesRls)
    problems.push(
      `${name} would count rows that are hidden from it as missing: ALTER ROLE ${name} BYPASSRLS`,
    );
  if (!creates)
    problems.push(
      `${name} may not keep its fence beside the database: GRANT CREATE ON DATABASE ${self.maintenance} TO ${name}`,
    );
  if (!createDatabase) problems.push(`${name} may not create the copy beside: ALTER ROLE ${name} CREATEDB`);
  if (!signals)
    problems.push(
      `${name} may not end the sessions before the swap: ${grantOf('pg_signal_backend', self, 'INHERIT')}`,
    );
}

/** What the swap needs of the database that it replaces, where there is one. */
async function checkLive(
  { problems }: Restorability,
  client: Client,
  live: string,
  self: Self,
): Promise<void> {
  const { rows } = await client.query<{ owner: string; becomes: boolean; may: boolean; prepared: string[] }>(
    `SELECT pg_get_userbyid(datdba) AS owner, ${mayBecome('datdba')} AS becomes, pg_has_role(datdba, 'USAGE') AS may,
            ARRAY(SELECT gid::text FROM pg_prepared_xacts WHERE database = $1 ORDER BY 1 LIMIT 10) AS prepared
       FROM pg_database WHERE datname = $1`,
    [live],
  );
  const { owner, becomes, may, prepared } = rows[0] ?? { owner: '', becomes: true, may: true, prepared: [] };
  if (!may && !self.superuser)
    problems.push(
      `${self.name} may not rename ${live}, which belongs to ${owner}: ${inherit(owner, self, becomes)}, or give the database back to its owner`,
    );
  if (prepared.length > 0)
    problems.push(
      `prepared transactions keep ${live} from being replaced; COMMIT PREPARED or ROLLBACK PREPARED ${prepared.join(', ')}`,
    );
}

/** From 16 a membership that is there keeps what it came without, unless that is said. */
function grantOf(role: string, { name, major }: Self, option: 'INHERIT' | 'SET' | 'ADMIN'): string {
  return `GRANT ${role} TO ${name}${major >= 16 ? ` WITH ${option} TRUE` : ''}`;
}

/** To have its rights; before 16 a member has them all, or none. */
function inherit(role: string, self: Self, isMember: boolean): string {
  return self.major < 16 && isMember ? `ALTER ROLE ${self.name} INHERIT` : grantOf(role, self, 'INHERIT');
}

async function checkExtensions(
  { problems, warnings }: Restorability,
  client: Client,
  manifest: Manifest,
  self: Self,
): Promise<void> {
  const { rows } = await client.query<{ name: string; version: string; trusted: boolean }>(
    `SELECT a.name, a.default_version AS version, coalesce(v.trusted, false) AS trusted
       FROM pg_available_extensions a LEFT JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version`,
  );
  const available = new Map(rows.map((row) => [row.name, row]));
  for (const { name, version } of manifest.extensions) {
    // Every database has it from the beginning.
    if (name === 'plpgsql') continue;
    const there = available.get(name);
    if (there === undefined)
      problems.push(`the server lacks the extension ${name}: install its package there`);
    else if (!there.trusted && !self.superuser)
      problems.push(
        `only a superuser may create the extension ${name}, and ${self.name} is none: let the restore run as one, or mark it as trusted on the server`,
      );
    else if (there.version !== version)
      warnings.push(`extension ${name} comes back in version ${there.version} instead of ${version}`);
    if (NEVER_IN_SCRATCH.includes(name))
      warnings.push(`extension ${name} runs jobs by itself, and no drill tries it`);
  }
}

async function checkRoles(
  { problems, warnings }: Restorability,
  client: Client,
  manifest: Manifest,
  self: Self,
): Promise<void> {
  const missing = await missingRoles(client, manifest.roles);
  const names = new Set(missing.map(({ name }) => name));
  for (const { name, login, memberOf } of missing) {
    const what = `${login ? 'LOGIN' : 'NOLOGIN'}, without a password${memberOf.length === 0 ? '' : `, member of ${memberOf.join(', ')}`}`;
    if (self.createRole) warnings.push(`role ${name}, which the server lacks, is created (${what})`);
    else
      problems.push(
        `the server lacks the role ${name}, and ${self.name} may not create it: CREATE ROLE ${name} ${login ? 'LOGIN' : 'NOLOGIN'}`,
      );
  }
  if (self.superuser) return;
  const groups = missing.flatMap((role) => membershipsOf(role)).map(({ name }) => name);
  if (self.createRole)
    for (const group of await notAdministered(client, self, groups))
      problems.push(
        `${self.name} may not make a role that is created a member of ${group}: ${grantOf(group, self, 'ADMIN')}`,
      );
  const owners = manifest.roles.filter(({ owner, name }) => owner === true && !names.has(name));
  const { rows } = await client.query<{ name: string; superuser: boolean; becomes: boolean }>(
    `SELECT rolname AS name, rolsuper AS superuser, ${mayBecome('oid')} AS becomes FROM pg_roles
      WHERE rolname = ANY($1) AND NOT (${mayBecome('oid')} AND pg_has_role(oid, 'USAGE'))`,
    [owners.map(({ name }) => name)],
  );
  for (const { name, superuser, becomes } of rows)
    problems.push(
      becomes
        ? `${self.name} does not inherit the rights of ${name}, and so could not read what it restores: ${inherit(name, self, true)}`
        : superuser
          ? `${self.name} may not give objects to their owner ${name}, a superuser: let the restore run as one, or give them to another owner before the next backup (REASSIGN OWNED)`
          : `${self.name} may not give objects to their owner ${name}: ${grantOf(name, self, 'SET')}`,
    );
  await checkSettings(problems, client, manifest, self);
}

/** Of roles that are there, those with which CREATEROLE alone lets nobody do anything from 16 on. */
async function notAdministered(client: Client, self: Self, roles: string[]): Promise<string[]> {
  if (self.major < 16) return [];
  const { rows } = await client.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles
      WHERE rolname = ANY($1) AND rolname <> current_user AND NOT pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') ORDER BY 1`,
    [roles],
  );
  return rows.map(({ name }) => name);
}

/** Settings of the database and of roles in it, which are set on the copy at the end. */
async function checkSettings(
  problems: string[],
  client: Client,
  manifest: Manifest,
  self: Self,
): Promise<void> {
  const settings = manifest.properties.settings.filter(isCarriedOver);
  for (const { role, name } of settings)
    if (role !== null && role !== self.name && !self.createRole)
      problems.push(
        `${self.name} may not set ${name} for ${role} in the database (ALTER ROLE ... IN DATABASE ... SET): ALTER ROLE ${self.name} CREATEROLE`,
      );
  const configured = settings.map(({ role }) => role).filter((role) => role !== null);
  if (self.createRole)
    for (const role of await notAdministered(client, self, configured))
      problems.push(
        `${self.name} may not set anything for ${role} in the database: ${grantOf(role, self, 'ADMIN')}`,
      );
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM pg_settings WHERE name = ANY($1) AND context = 'superuser'${self.major >= 15 ? " AND NOT has_parameter_privilege(name, 'SET')" : ''}`,
    [settings.map(({ name }) => name)],
  );
  for (const { name } of rows)
    problems.push(
      `${self.name} may not set ${name} on the copy: GRANT SET ON PARAMETER ${name} TO ${self.name}`,
    );
}

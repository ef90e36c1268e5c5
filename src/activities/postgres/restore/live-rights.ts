import { escapeIdentifier, escapeLiteral, type Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { endpointOf } from '../session/endpoint';
import type { Manifest, Membership } from '../backups/manifest';
import { inMaintenance } from './maintenance';
import { grantMembership, mayBecome, reachableFrom } from './memberships';
import { databaseIn, type Place } from '../../../contract/place';

/** Our role on the live server. */
interface LiveRole {
  name: string;
  superuser: boolean;
  inherit: boolean;
  createRole: boolean;
  createDatabase: boolean;
  bypassRls: boolean;
  /** Whatever it may act as, or has the rights of, through others too. */
  memberOf: Membership[];
}

/** Whom a drill restores as; without a role as the superuser of its cluster. */
export interface LiveRights {
  role?: string;
  /** A remark about it. */
  remark: string;
}

/**
 * Gives the disposable cluster of this session a role that may do what ours may on the live server; where that does not
 * answer, what it might when the backup was made. The role has the password of the cluster. Safe to repeat.
 */
export async function takeLiveRights(
  deps: ActivityDeps,
  place: Place,
  cluster: { client: Client; manifest: Manifest; password: string },
): Promise<LiveRights> {
  const { role, when } = await readLiveRole(deps, place, cluster.manifest);
  if (typeof role === 'string')
    return { remark: `as a superuser, for ${when}, and the backup does not tell what ${role} may do` };
  if (role.superuser) return { remark: `as a superuser, which ${role.name} is: ${when}` };
  return { role: await createStandIn(cluster, role), remark: `with the rights of ${role.name}: ${when}` };
}

/** A drill is wanted most while the live server is away. */
const AWAY = ['DatabaseUnreachable', 'WrongDatabase', 'AuthenticationFailed'];

async function readLiveRole(
  deps: ActivityDeps,
  place: Place,
  manifest: Manifest,
): Promise<{ role: LiveRole | string; when: string }> {
  try {
    const role = await inMaintenance(deps, place, readRole, { action: 'read the rights of our role' });
    return { role, when: 'the live server was asked' };
  } catch (error) {
    if (!AWAY.includes((error as { type?: string }).type ?? '')) throw error;
    const name = decodeURIComponent(new URL(endpointOf(deps, databaseIn(place)).url).username);
    const when = 'the live server did not answer';
    return { role: recordedRole(manifest, name) ?? name, when: `${when}, so these are those of the backup` };
  }
}

async function readRole(client: Client): Promise<LiveRole> {
  const { rows } = await client.query<LiveRole>(
    `SELECT rolname AS name, rolsuper AS superuser, rolinherit AS inherit, rolcreaterole AS "createRole",
            rolcreatedb AS "createDatabase", rolbypassrls AS "bypassRls",
            (SELECT coalesce(json_agg(json_build_object('name', g.rolname, 'inherits', pg_has_role(g.oid, 'USAGE'), 'sets', ${mayBecome('g.oid')})), '[]')
               FROM pg_roles g WHERE g.rolname NOT IN (current_user, 'pg_database_owner') AND (pg_has_role(g.oid, 'USAGE') OR ${mayBecome('g.oid')})) AS "memberOf"
       FROM pg_roles WHERE rolname = current_user`,
  );
  return rows[0]!;
}

function recordedRole({ roles }: Manifest, name: string): LiveRole | undefined {
  const own = roles.find((role) => role.name === name);
  return own === undefined ? undefined : { ...own, memberOf: reachableFrom(own, roles) };
}

/**
 * Whether our role would reach more by it than it does on the live server. Others keep what they have of each other: whoever
 * owns a materialized view reads with it while that is filled.
 */
function leadsFurther(
  { name, member, inherits, sets }: Membership & { member: string },
  { memberOf }: LiveRole,
): boolean {
  const from = memberOf.find((one) => one.name === member);
  const to = memberOf.find((one) => one.name === name);
  const more = (which: 'inherits' | 'sets', passes: boolean) =>
    passes && from?.[which] === true && to?.[which] !== true;
  return more('inherits', inherits) || more('sets', sets);
}

async function createStandIn(
  { client, password }: { client: Client; password: string },
  role: LiveRole,
): Promise<string> {
  const { rows } = await client.query<{ self: string; major: number; names: string[] }>(
    `SELECT current_user AS self, current_setting('server_version_num')::int / 10000 AS major,
            ARRAY(SELECT rolname::text FROM pg_roles) AS names`,
  );
  const { self, major, names } = rows[0]!;
  const existing = new Set(names);
  // The superuser of this cluster bears a name that is often that of a role without rights elsewhere.
  const user = role.name === self ? `${role.name}_without_superuser` : role.name;
  const id = escapeIdentifier(user);
  const may = (yes: boolean, what: string): string => `${yes ? '' : 'NO'}${what}`;
  if (!existing.has(user)) await client.query(`CREATE ROLE ${id}`);
  await client.query(
    `ALTER ROLE ${id} LOGIN NOSUPERUSER ${may(role.inherit, 'INHERIT')} ${may(role.createRole, 'CREATEROLE')}
       ${may(role.createDatabase, 'CREATEDB')} ${may(role.bypassRls, 'BYPASSRLS')} PASSWORD ${escapeLiteral(decodeURIComponent(password))}`,
  );
  // As they were when the backup was made: what it reaches through others now is given to it directly.
  const { rows: former } = await client.query<Membership & { member: string }>(
    `SELECT pg_get_userbyid(m.roleid) AS name, r.rolname AS member, ${major >= 16 ? 'm.inherit_option' : 'r.rolinherit'} AS inherits,
            ${major >= 16 ? 'm.set_option' : 'true'} AS sets
       FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.member >= 16384`,
  );
  for (const one of former)
    if (one.member === user || leadsFurther(one, role))
      await client.query(`REVOKE ${escapeIdentifier(one.name)} FROM ${escapeIdentifier(one.member)}`);
  const own = user === role.name ? [] : [{ name: role.name, inherits: true, sets: true }];
  for (const membership of [...own, ...role.memberOf.filter((group) => group.name !== user)]) {
    const { name } = membership;
    if (!existing.has(name)) {
      // One of a newer server.
      if (name.startsWith('pg_')) continue;
      await client.query(`CREATE ROLE ${escapeIdentifier(name)}`);
      existing.add(name);
    }
    await grantMembership(client, user, membership, major);
  }
  return user;
}

import type { ClientBase } from 'pg';
import type { RoleEntry } from './manifest';

/** From 16 a membership may come without either; who made a role is a member of it with neither. */
const MEMBERSHIPS = `(SELECT coalesce(json_agg(json_build_object('name', name, 'inherits', inherits, 'sets', sets) ORDER BY name), '[]') FROM (
               SELECT g.rolname AS name, bool_or(m.inherit_option) AS inherits, bool_or(m.set_option) AS sets
                 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid
                GROUP BY 1 HAVING bool_or(m.inherit_option OR m.set_option)) AS one) AS memberships,`;

/** Every role of the server, with what this database has of it. */
export async function readRoles(client: ClientBase): Promise<RoleEntry[]> {
  const { rows: version } = await client.query<{ has: boolean }>(
    `SELECT current_setting('server_version_num')::int >= 160000 AS has`,
  );
  const hasOptions = version[0]?.has === true;
  const { rows } = await client.query<RoleEntry>(
    `WITH this AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database()),
     -- The owner of the cluster is pinned: nothing depends on it by name. Our own bookkeeping is made anew.
     pinned AS (
       SELECT tableoid AS class, oid FROM pg_namespace WHERE nspowner = 10 AND nspname !~ '^durable_runbooks'
       UNION ALL SELECT tableoid, oid FROM pg_class WHERE relowner = 10 AND relkind NOT IN ('i', 'I', 't')
         AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^(durable_runbooks|pg_)')
       UNION ALL SELECT tableoid, oid FROM pg_proc WHERE proowner = 10
       UNION ALL SELECT tableoid, oid FROM pg_type WHERE typowner = 10 AND typrelid = 0 AND typelem = 0
       UNION ALL SELECT tableoid, oid FROM pg_event_trigger WHERE evtowner = 10
       UNION ALL SELECT tableoid, oid FROM pg_publication WHERE pubowner = 10
       UNION ALL SELECT tableoid, oid FROM pg_largeobject_metadata WHERE lomowner = 10
     ),
     named AS (
       SELECT d.refobjid, d.deptype FROM pg_shdepend d, this
        WHERE d.refclassid = 'pg_authid'::regclass
          AND (d.dbid = this.oid OR (d.dbid = 0 AND d.classid = 'pg_database'::regclass AND d.objid = this.oid))
       UNION ALL SELECT datdba, 'o' FROM this
       UNION ALL SELECT s.setrole, 's' FROM pg_db_role_setting s, this WHERE s.setdatabase = this.oid
       UNION ALL SELECT 10, 'o' FROM pinned p WHERE p.oid >= 16384
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = p.class AND d.objid = p.oid AND d.deptype = 'e')
     )
     SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolinherit AS inherit, r.rolcreaterole AS "createRole",
            r.rolcreatedb AS "createDatabase", r.rolcanlogin AS login, r.rolbypassrls AS "bypassRls",
            ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid
               ${hasOptions ? 'AND (m.inherit_option OR m.set_option)' : ''} GROUP BY 1 ORDER BY 1) AS "memberOf",
            ${hasOptions ? MEMBERSHIPS : ''}
            EXISTS (SELECT 1 FROM named n WHERE n.refobjid = r.oid) AS used,
            EXISTS (SELECT 1 FROM named n WHERE n.refobjid = r.oid AND n.deptype = 'o') AS owner
       FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1`,
  );
  return rows;
}

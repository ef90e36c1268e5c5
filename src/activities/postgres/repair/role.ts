import type { ClientBase } from 'pg';
import { fail } from '../../support/failure';
import { ensureBookkeeping } from '../session/bookkeeping';

interface FoundRole {
  mine: boolean;
  attributes: string[];
  elsewhere: string[];
  logs: boolean;
}

/**
 * What a role may write beside the given tables. Rights of PUBLIC count: it has them too. Our own bookkeeping is granted
 * below.
 */
const ROLE_SQL = `
  SELECT pg_has_role(current_user, r.oid, 'MEMBER') AS mine,
    array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
                       CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END], NULL) AS attributes,
    ARRAY(SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
             AND c.oid <> ALL ($2::regclass[]::oid[]) AND c.oid <> coalesce(to_regclass('durable_runbooks.change_log'), 0::oid::regclass)::oid
             AND (has_table_privilege(r.oid, c.oid, 'INSERT,UPDATE,DELETE,TRUNCATE') OR has_any_column_privilege(r.oid, c.oid, 'INSERT,UPDATE'))
           ORDER BY 1 LIMIT 10) AS elsewhere,
    EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('durable_runbooks.change_log')
               AND has_table_privilege(r.oid, c.oid, 'SELECT') AND has_table_privilege(r.oid, c.oid, 'INSERT')
               AND has_column_privilege(r.oid, c.oid, 'after', 'UPDATE') AND has_column_privilege(r.oid, c.oid, 'undone_at', 'UPDATE')) AS logs
    FROM pg_roles r WHERE r.rolname = $1`;

/**
 * Looks whether rows may be repaired as that role: it exists, our own is a member of it, and it can write nothing but
 * `tables` (quoted names). Throws RepairRoleInvalid.
 */
export async function checkRole(client: ClientBase, role: string, tables: string[]): Promise<void> {
  const { rows } = await client.query<FoundRole>(ROLE_SQL, [role, tables]);
  const [found] = rows;
  const refuse = (why: string): Error =>
    fail('RepairRoleInvalid', `Role ${role}, as which rows are repaired, ${why}. Nothing was changed.`);
  if (found === undefined)
    throw refuse('does not exist in this server; create it with the grants that docs/repairs.md lists');
  if (!found.mine) throw refuse(`cannot be taken by the role of the runbooks: GRANT ${role} to it`);
  if (found.attributes.length > 0)
    throw refuse(`is ${found.attributes.join(', ')}, which no repair needs; take that away`);
  if (found.elsewhere.length > 0)
    throw refuse(
      `can also write ${found.elsewhere.join(', ')}; REVOKE that, so that no repair can reach them`,
    );
}

/** Creates the bookkeeping where it is missing, and lets that role write into the change log and nothing else of it. */
export async function ensureChangeLog(client: ClientBase, role: string | undefined): Promise<void> {
  await ensureBookkeeping(client);
  if (role === undefined) return;
  const { rows } = await client.query<FoundRole>(ROLE_SQL, [role, []]);
  if (rows[0] === undefined || rows[0].logs) return;
  const name = client.escapeIdentifier(role);
  await client.query(`GRANT USAGE ON SCHEMA durable_runbooks TO ${name}`);
  await client.query(
    `GRANT SELECT, INSERT, UPDATE (after, undone_at) ON durable_runbooks.change_log TO ${name}`,
  );
}

import type { ClientBase } from 'pg';
import { fail } from '../../support/failure';
import type { ApplyRun } from './apply-run';
import { quoted } from './parse-tree';

/**
 * Runs `body` as `migrations.role`, so that what it makes belongs to that role. Fence and ledger stay with the role that
 * connects. In a transaction that fails, the rollback takes the role back too.
 */
export async function asOwner<T>(
  { client: own, settings, label }: ApplyRun,
  body: () => Promise<T>,
  client: ClientBase = own,
): Promise<T> {
  const { role } = settings;
  if (role === undefined) return body();
  await requireRole(client, role, label);
  await client.query(`SET ROLE ${quoted(role)}`);
  try {
    return await body();
  } finally {
    await client.query('SET ROLE NONE').catch(() => undefined);
  }
}

/** Throws MissingPrivilege where `migrations.role` is not there, or this session may not become it. */
export async function requireRole(
  client: ClientBase,
  role: string | undefined,
  label: string,
): Promise<void> {
  if (role === undefined) return;
  // PostgreSQL 16 tells membership and the right to SET ROLE apart.
  const { rows } = await client.query<{ me: string; there: boolean; may: boolean | null }>(
    `SELECT session_user AS me, r.oid IS NOT NULL AS there,
            pg_has_role(session_user, r.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS may
       FROM (SELECT $1::name AS name) AS wanted LEFT JOIN pg_roles r ON r.rolname = wanted.name`,
    [role],
  );
  const { me, there, may } = rows[0]!;
  if (there && may === true) return;
  const why = there ? `${me} is not a member of it` : 'there is no such role';
  const next = there
    ? `GRANT ${quoted(role)} TO ${quoted(me)}, or correct \`migrations.role\`.`
    : 'Correct `migrations.role`, or create it.';
  throw fail(
    'MissingPrivilege',
    `\`migrations.role\` is ${role}, and ${why} on ${label}. Nothing was changed. ${next}`,
  );
}

/**
 * A disposable cluster has the roles that the backup names, and it may name neither the owner nor who belongs to it. That
 * production's role may become the owner was seen there.
 */
export async function prepareOwner(
  client: ClientBase,
  owner: string | undefined,
  role: string,
): Promise<void> {
  if (owner === undefined) return;
  const { rows } = await client.query<{ name: string }>(
    'SELECT rolname AS name FROM pg_roles WHERE rolname = ANY($1)',
    [[owner, role]],
  );
  const there = rows.map(({ name }) => name);
  if (!there.includes(owner)) await client.query(`CREATE ROLE ${quoted(owner)}`);
  if (there.includes(role) && role !== owner) await client.query(`GRANT ${quoted(owner)} TO ${quoted(role)}`);
}

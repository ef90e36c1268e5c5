import { escapeIdentifier, type ClientBase } from 'pg';
import type { Membership, RoleEntry } from '../backups/manifest';

/** Condition: our role may give something to that one. From 16 a membership may come without it. */
export function mayBecome(role: string): string {
  return `pg_has_role(${role}, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)`;
}

/** Before 16 a membership lets its member act as the role, and the member itself inherits, or not. */
export function membershipsOf({ memberships, memberOf, inherit }: RoleEntry): Membership[] {
  return memberships ?? memberOf.map((name) => ({ name, inherits: inherit, sets: true }));
}

/** Everything that a role is a member of, through others too. */
export function reachableFrom(own: RoleEntry, roles: RoleEntry[]): Membership[] {
  const byName = new Map(roles.map((role) => [role.name, role]));
  const found = new Map<string, Membership>();
  const visit = (role: RoleEntry, by: Pick<Membership, 'inherits' | 'sets'>): void => {
    for (const { name, ...step } of membershipsOf(role)) {
      const known = found.get(name);
      const inherits = known?.inherits === true || (by.inherits && step.inherits);
      const sets = known?.sets === true || (by.sets && step.sets);
      if ((!inherits && !sets) || (known?.inherits === inherits && known.sets === sets)) continue;
      found.set(name, { name, inherits, sets });
      const group = byName.get(name);
      if (group !== undefined) visit(group, { inherits, sets });
    }
  };
  visit(own, { inherits: true, sets: true });
  return [...found.values()];
}

/** Makes a role a member of another one. A server before 16 knows the membership alone. */
export async function grantMembership(
  client: ClientBase,
  member: string,
  { name, inherits, sets }: Membership,
  major: number,
): Promise<void> {
  const how = major >= 16 ? ` WITH INHERIT ${inherits}, SET ${sets}` : '';
  await client.query(`GRANT ${escapeIdentifier(name)} TO ${escapeIdentifier(member)}${how}`);
}

export async function majorOf(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ major: number }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS major`,
  );
  return rows[0]!.major;
}

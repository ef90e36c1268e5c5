import type { ClientBase } from 'pg';
import type { Manifest } from '../backups/manifest';

/** Tablespaces of the source that a server does not have, or in which this role may create nothing. */
export async function lackingTablespaces(client: ClientBase, manifest: Manifest): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM unnest($1::text[]) AS name
      WHERE NOT EXISTS (SELECT FROM pg_tablespace WHERE spcname = name AND has_tablespace_privilege(oid, 'CREATE')) ORDER BY 1`,
    [manifest.tablespaces ?? []],
  );
  return rows.map(({ name }) => name);
}

/** What becomes of them: an object in one that is not there could not be restored at all. */
export function describeLacking(lacking: string[]): string {
  return `everything lies in the default tablespace, for ${lacking.join(', ')} is not on the target server or not open to this role`;
}

import type { Client } from 'pg';

/** Who we are on the server of an environment, and what we may do there. */
export interface Self {
  name: string;
  superuser: boolean;
  createDatabase: boolean;
  createRole: boolean;
  signals: boolean;
  sees: boolean;
  bypassesRls: boolean;
  /** In the maintenance database, where the fence of restores and swaps is. */
  creates: boolean;
  maintenance: string;
  major: number;
}

export async function readSelf(client: Client): Promise<Self> {
  const { rows } = await client.query<Self>(
    `SELECT rolname AS name, rolsuper AS superuser, rolsuper OR rolcreatedb AS "createDatabase",
            rolsuper OR rolcreaterole AS "createRole",
            rolsuper OR pg_has_role(rolname, 'pg_signal_backend', 'USAGE') AS signals,
            rolsuper OR pg_has_role(rolname, 'pg_read_all_stats', 'USAGE') AS sees,
            rolsuper OR rolbypassrls AS "bypassesRls",
            has_database_privilege(current_database(), 'CREATE') AS creates, current_database() AS maintenance,
            current_setting('server_version_num')::int / 10000 AS major
       FROM pg_roles WHERE rolname = current_user`,
  );
  return rows[0]!;
}

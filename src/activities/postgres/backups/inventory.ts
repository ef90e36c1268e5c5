import { escapeIdentifier, type ClientBase } from 'pg';
import { isDamage } from '../session/damage';
import type { DatabaseProperties, Manifest, SequenceEntry } from './manifest';
import { readRoles } from './roles';
import { readReplication } from './replication';

/** A table whose rows are in the dump. `bytes` orders the counting: the longest first. */
export interface CountableTable {
  schema: string;
  name: string;
  oid: string;
  bytes: number;
  inserted: number;
  updated: number;
  deleted: number;
  /** Leaves nothing in the WAL. */
  unlogged: boolean;
}

/**
 * Tables whose rows a dump holds: ordinary ones and partitions; no foreign or temporary ones, none that belong to an
 * extension, and not the fence, whose tokens must never travel with a backup.
 */
export async function listTables(client: ClientBase): Promise<CountableTable[]> {
  const { rows } = await client.query<
    Record<Exclude<keyof CountableTable, 'unlogged'>, string> & { unlogged: boolean }
  >(
    `SELECT n.nspname AS schema, c.relname AS name, c.oid::text AS oid, pg_table_size(c.oid)::text AS bytes, c.relpersistence = 'u' AS unlogged,
            coalesce(s.n_tup_ins, 0)::text AS inserted, coalesce(s.n_tup_upd, 0)::text AS updated,
            coalesce(s.n_tup_del, 0)::text AS deleted
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
      WHERE c.relkind = 'r' AND c.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND NOT (n.nspname = 'durable_runbooks' AND c.relname = 'fence')
        AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      ORDER BY pg_table_size(c.oid) DESC`,
  );
  return rows.map((row) => ({
    schema: row.schema,
    name: row.name,
    oid: row.oid,
    bytes: Number(row.bytes),
    unlogged: row.unlogged,
    inserted: Number(row.inserted),
    updated: Number(row.updated),
    deleted: Number(row.deleted),
  }));
}

/** As SQL, and as the patterns of pg_dump, name it. */
export function quotedName({ schema, name }: { schema: string; name: string }): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}

/** Rows of one table, without those of its children. */
export async function countRows(
  client: ClientBase,
  table: { schema: string; name: string },
): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `SELECT count(*)::text AS count FROM ONLY ${quotedName(table)}`,
  );
  return Number(rows[0]?.count);
}

/** Counting in this session reads the tables themselves: an index alone would not show that their pages are damaged. */
export async function readWholeTables(client: ClientBase): Promise<void> {
  await client.query(
    `SELECT set_config(name, 'off', false) FROM unnest(ARRAY['enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan']) AS name`,
  );
}

const SEQUENCES = `
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_' AND c.relpersistence <> 't'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;

/** Position of every sequence that a dump holds. Null where it was never used. */
export async function listSequences(client: ClientBase): Promise<SequenceEntry[]> {
  const { rows } = await client.query<SequenceEntry>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_sequence_last_value(c.oid)::text AS "lastValue", s.seqincrement::text AS increment
     ${SEQUENCES} ORDER BY 1, 2`,
  );
  return rows;
}

/** A sequence that cannot be read, and why. */
export interface UnreadableSequence {
  schema: string;
  name: string;
  why: string;
}

/** Of a database that may be damaged: the sequences that can be read, and the others. Not in a transaction. */
export async function listReadableSequences(
  client: ClientBase,
): Promise<{ sequences: SequenceEntry[]; unreadable: UnreadableSequence[] }> {
  try {
    return { sequences: await listSequences(client), unreadable: [] };
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const { rows } = await client.query<{ oid: string; schema: string; name: string; increment: string }>(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, s.seqincrement::text AS increment ${SEQUENCES} ORDER BY 2, 3`,
  );
  const sequences: SequenceEntry[] = [];
  const unreadable: UnreadableSequence[] = [];
  for (const { oid, schema, name, increment } of rows) {
    try {
      const { rows: read } = await client.query<{ lastValue: string | null }>(
        'SELECT pg_sequence_last_value($1)::text AS "lastValue"',
        [oid],
      );
      sequences.push({ schema, name, increment, lastValue: read[0]?.lastValue ?? null });
    } catch (error) {
      if (!isDamage(error)) throw error;
      unreadable.push({ schema, name, why: (error as Error).message });
    }
  }
  return { sequences, unreadable };
}

export async function countLargeObjects(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    'SELECT count(*)::text AS count FROM pg_largeobject_metadata',
  );
  return Number(rows[0]?.count);
}

/** Cumulative changes of large objects; their rows belong to the system, and so to no table of `listTables`. */
export async function readLargeObjectChanges(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ changes: string }>(
    `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::text AS changes FROM pg_stat_sys_tables
      WHERE schemaname = 'pg_catalog' AND relname = 'pg_largeobject'`,
  );
  return Number(rows[0]?.changes);
}

type Surroundings = Pick<
  Manifest,
  | 'properties'
  | 'roles'
  | 'extensions'
  | 'replicationSlots'
  | 'subscriptions'
  | 'replication'
  | 'publications'
  | 'publicationsOfAllTables'
  | 'eventTriggers'
  | 'tablespaces'
  | 'preloadLibraries'
  | 'unloggedTables'
  | 'excludedForeignTables'
  | 'foreignKeys'
  | 'unvalidatedForeignKeys'
  | 'canary'
  | 'databaseBytes'
  | 'serverVersion'
  | 'serverVersionNum'
  | 'systemIdentifier'
  | 'database'
>;

/** Everything about the database that is not in its tables. Run it inside the snapshot. */
export async function readSurroundings(client: ClientBase): Promise<Surroundings> {
  const { rows } = await client.query<{
    facts: Omit<Surroundings, 'replication' | 'properties' | 'roles' | 'canary'>;
  }>(
    `SELECT json_build_object(
       'serverVersion', current_setting('server_version'),
       'serverVersionNum', current_setting('server_version_num')::int,
       'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
       'database', current_database(),
       'databaseBytes', pg_database_size(current_database()),
       'extensions', (SELECT coalesce(json_agg(json_build_object('name', extname, 'version', extversion) ORDER BY extname), '[]') FROM pg_extension),
       'replicationSlots', (SELECT coalesce(json_agg(slot_name ORDER BY slot_name), '[]') FROM pg_replication_slots WHERE database = current_database()),
       'subscriptions', (SELECT coalesce(json_agg(subname ORDER BY subname), '[]') FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
       'publications', (SELECT coalesce(json_agg(pubname ORDER BY pubname), '[]') FROM pg_publication),
       'publicationsOfAllTables', (SELECT coalesce(json_agg(pubname ORDER BY pubname), '[]') FROM pg_publication WHERE puballtables),
       'eventTriggers', (SELECT coalesce(json_agg(evtname ORDER BY evtname), '[]') FROM pg_event_trigger),
       'tablespaces', (SELECT coalesce(json_agg(spcname ORDER BY spcname), '[]') FROM pg_tablespace t
          WHERE spcname NOT IN ('pg_default', 'pg_global') AND (EXISTS (SELECT FROM pg_class WHERE reltablespace = t.oid)
             OR EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND dattablespace = t.oid))),
       -- The view shows it only to whoever may read it.
       'preloadLibraries', (SELECT to_json(ARRAY(SELECT trim(both ' "' FROM item) FROM unnest(string_to_array(setting, ',')) AS item WHERE item <> ''))
          FROM pg_settings WHERE name = 'shared_preload_libraries'),
       'unloggedTables', (SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1), '[]')
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence = 'u'),
       'excludedForeignTables', (SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1), '[]')
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'f'),
       'foreignKeys', (SELECT count(*) FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
          WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname !~ '^pg_'),
       'unvalidatedForeignKeys', (SELECT coalesce(json_agg(format('%s.%s.%s', n.nspname, c.relname, k.conname)), '[]')
          FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT k.convalidated)
     ) AS facts`,
  );
  const facts = rows[0]!.facts;
  return {
    ...facts,
    replication: await readReplication(client, facts.database),
    properties: await readProperties(client),
    roles: await readRoles(client),
    canary: await readLatestCanary(client),
  };
}

/** Properties of the database itself: rule by rule what a restore has to set again. */
export async function readProperties(client: ClientBase): Promise<DatabaseProperties> {
  const { rows: version } = await client.query<{ num: number }>(
    `SELECT current_setting('server_version_num')::int AS num`,
  );
  const num = version[0]?.num ?? 0;
  // The column was renamed in 17; before 15 there was none and every database used libc.
  const locale = num >= 170000 ? 'd.datlocale' : num >= 150000 ? 'd.daticulocale' : 'NULL::text';
  const provider = num >= 150000 ? 'd.datlocprovider' : `'c'`;
  const { rows } = await client.query<{ properties: DatabaseProperties }>(
    `SELECT json_build_object(
       'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
       'localeProvider', ${provider}, 'icuLocale', ${locale}, 'connectionLimit', d.datconnlimit,
       'tablespace', (SELECT NULLIF(spcname, 'pg_default') FROM pg_tablespace t WHERE t.oid = d.dattablespace),
       'comment', shobj_description(d.oid, 'pg_database'),
       'settings', (SELECT coalesce(json_agg(json_build_object(
             'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END,
             'name', split_part(item, '=', 1), 'value', substr(item, strpos(item, '=') + 1)) ORDER BY s.setrole, place), '[]')
          FROM pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY AS u(item, place) WHERE s.setdatabase = d.oid),
       'grants', (SELECT coalesce(json_agg(json_build_object(
             'grantee', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
             'privilege', a.privilege_type, 'grantable', a.is_grantable) ORDER BY a.grantee, a.privilege_type), '[]')
          FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a)
     ) AS properties
     FROM pg_database d WHERE d.datname = current_database()`,
  );
  return rows[0]!.properties;
}

async function readLatestCanary(client: ClientBase): Promise<Manifest['canary']> {
  const { rows: found } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('durable_runbooks.canary') IS NOT NULL AS there`,
  );
  if (found[0]?.there !== true) return null;
  const { rows } = await client.query<{ id: string; writtenAt: Date }>(
    'SELECT id, written_at AS "writtenAt" FROM durable_runbooks.canary ORDER BY written_at DESC LIMIT 1',
  );
  return rows[0] === undefined ? null : { id: rows[0].id, writtenAt: rows[0].writtenAt.toISOString() };
}

/**
 * Changes whenever the cumulative counters start anew, with another database of the same name as well. A crash of the server throws them all away and leaves the
 * database's own stats_reset empty, so that of the background writer is looked at as well.
 */
export async function readCountersResetAt(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ at: string }>(
    `SELECT concat_ws('/', (SELECT oid FROM pg_database WHERE datname = current_database()),
                           (SELECT extract(epoch FROM stats_reset) FROM pg_stat_database WHERE datname = current_database()),
                           (SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter)) AS at`,
  );
  return rows[0]?.at ?? '';
}

import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import {
  compareSchemas,
  schemaDelta,
  type SchemaDelta,
  type SchemaFingerprint,
} from '../../../contract/schema-delta';
import type { ActivityDeps } from '../../support/deps';
import { withClient, type ConnectionOptions } from '../session/connection';
import { fail } from '../../support/failure';
import { applicationName } from '../../support/heartbeat';
import type { DatabaseRef, Fence } from '../../../contract/place';
import { fenceSession, keepFence } from '../session/fence';
import { inTransaction } from '../session/transaction';

/** Older fingerprints are of runs that ended long ago. */
const KEPT = '30 days';

/**
 * Compares schemas by the fingerprints of their objects. A fingerprint stays in the database it describes: thousands of
 * objects do not belong into a history, what changed among them does.
 */
export function createFingerprintActivities(deps: ActivityDeps) {
  return {
    /** Remembers the schema as it is now, under `id`. A retry before anything was changed remembers the same. */
    async saveSchema(input: {
      database: DatabaseRef;
      id: string;
      fence: Fence;
    }): Promise<{ objects: number; digest: string }> {
      const { database, id, fence } = input;
      return withClient(
        deps,
        database,
        async (client) => {
          await fenceSession(client, fence);
          const fingerprint = await readFingerprint(client);
          await inTransaction(client, async () => {
            // An attempt that everybody has given up must not save what a later step has made of the schema.
            await keepFence(client, fence, applicationName());
            await client.query(
              `DELETE FROM durable_runbooks.fingerprint WHERE taken_at < now() - interval '${KEPT}'`,
            );
            await client.query(
              `INSERT INTO durable_runbooks.fingerprint (id, objects) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET objects = excluded.objects`,
              [id, JSON.stringify(fingerprint.objects)],
            );
          });
          return { objects: Object.keys(fingerprint.objects).length, digest: fingerprint.digest };
        },
        optionsFor(database),
      );
    },

    /** What became of the schema since `saveSchema` under that `id`. Reads only. */
    async diffSchema({ database, id }: { database: DatabaseRef; id: string }): Promise<SchemaDelta> {
      return withClient(
        deps,
        database,
        async (client) => {
          const { rows } = await client.query<{ objects: Record<string, string> }>(
            'SELECT objects FROM durable_runbooks.fingerprint WHERE id = $1',
            [id],
          );
          if (rows[0] === undefined)
            throw fail('InvalidInput', `the schema was never saved as ${id}; start a new run`);
          return schemaDelta({ digest: '', objects: rows[0].objects }, await readFingerprint(client));
        },
        optionsFor(database),
      );
    },

    /** Where the schema of `other` differs from that of `live`, in words. Reads only. */
    async findDrift({ live, other }: { live: DatabaseRef; other: DatabaseRef }): Promise<string[]> {
      const read = (database: DatabaseRef) =>
        withClient(deps, database, readFingerprint, optionsFor(database));
      return compareSchemas(await read(live), await read(other));
    },
  };
}

function optionsFor(database: DatabaseRef): ConnectionOptions {
  return {
    action: 'read the schema',
    identity: database.kind === 'service' && database.database === undefined,
  };
}

/**
 * Every object of the schema with ten hex digits of its definition: tables, columns, constraints, indexes, views,
 * functions, triggers, policies, types, sequences, grants, extensions. Not: system schemas, our own, what belongs to an
 * extension.
 */
export async function readFingerprint(client: ClientBase): Promise<SchemaFingerprint> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    // Deparsed names are then qualified whatever the role's search_path is.
    await client.query(`SELECT set_config('search_path', '', true)`);
    const { rows } = await client.query<{ identity: string; hash: string }>(FINGERPRINT);
    const text = rows.map(({ identity, hash }) => `${identity} ${hash}`).join('\n');
    return {
      digest: createHash('sha256').update(text).digest('hex'),
      objects: Object.fromEntries(rows.map(({ identity, hash }) => [identity, hash])),
    };
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

const FINGERPRINT = `
WITH schemas AS (
  SELECT oid, nspname, nspacl, nspowner FROM pg_namespace
   WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'durable_runbooks')
), owned AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
  SELECT c.*, s.nspname, format('%I.%I', s.nspname, c.relname) AS name FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
   WHERE NOT EXISTS (SELECT FROM owned WHERE classid = 'pg_class'::regclass AND objid = c.oid)
), routines AS (
  SELECT p.*, format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
    FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
   WHERE NOT EXISTS (SELECT FROM owned WHERE classid = 'pg_proc'::regclass AND objid = p.oid)
), types AS (
  SELECT t.*, format('%I.%I', s.nspname, t.typname) AS name FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
   WHERE NOT EXISTS (SELECT FROM owned WHERE classid = 'pg_type'::regclass AND objid = t.oid)
), objects (identity, definition) AS (
  SELECT 'schema ' || quote_ident(nspname), pg_get_userbyid(nspowner)::text FROM schemas
  UNION ALL
  SELECT 'table ' || name, concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,
      array_to_string(reloptions, ','), pg_get_userbyid(relowner), pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid))
    FROM relations WHERE relkind IN ('r', 'p', 'f')
  UNION ALL
  SELECT format('column %s.%I', r.name, a.attname), concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
      a.attgenerated, NULLIF(a.attcollation, t.typcollation), pg_get_expr(d.adbin, d.adrelid))
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE r.relkind IN ('r', 'p', 'f', 'c')
  UNION ALL
  SELECT format('constraint %s.%I', r.name, k.conname), concat_ws(' ', pg_get_constraintdef(k.oid), k.convalidated)
    FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid
  UNION ALL
  SELECT 'index ' || r.name, concat_ws(' ', pg_get_indexdef(r.oid), i.indisvalid)
    FROM relations r JOIN pg_index i ON i.indexrelid = r.oid
  UNION ALL
  SELECT 'view ' || name, concat_ws(' ', relkind, array_to_string(reloptions, ','), pg_get_userbyid(relowner), pg_get_viewdef(oid))
    FROM relations WHERE relkind IN ('v', 'm')
  UNION ALL
  SELECT 'sequence ' || r.name, concat_ws(' ', q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle)
    FROM relations r JOIN pg_sequence q ON q.seqrelid = r.oid
  UNION ALL
  SELECT 'function ' || name, CASE WHEN prokind = 'a' THEN prorettype::regtype::text ELSE pg_get_functiondef(oid) END FROM routines
  UNION ALL
  SELECT format('trigger %s.%I', r.name, g.tgname), concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled)
    FROM pg_trigger g JOIN relations r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
  UNION ALL
  SELECT format('policy %s.%I', r.name, p.polname), concat_ws(' ', p.polcmd, p.polpermissive,
      (SELECT string_agg(pg_get_userbyid(role), ',' ORDER BY 1) FROM unnest(p.polroles) AS role),
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
  UNION ALL
  SELECT 'enum ' || name, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = types.oid)
    FROM types WHERE typtype = 'e'
  UNION ALL
  SELECT 'domain ' || name, concat_ws(' ', format_type(typbasetype, typtypmod), typnotnull, typdefault,
      (SELECT string_agg(pg_get_constraintdef(k.oid), ',' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = types.oid))
    FROM types WHERE typtype = 'd'
  UNION ALL
  SELECT 'range ' || name, '' FROM types WHERE typtype = 'r'
  UNION ALL
  SELECT 'grant schema ' || quote_ident(nspname), (SELECT string_agg(item::text, ',' ORDER BY item::text) FROM unnest(nspacl) AS item)
    FROM schemas WHERE nspacl IS NOT NULL
  UNION ALL
  SELECT 'grant ' || name, (SELECT string_agg(item::text, ',' ORDER BY item::text) FROM unnest(relacl) AS item)
    FROM relations WHERE relacl IS NOT NULL
  UNION ALL
  SELECT 'grant function ' || name, (SELECT string_agg(item::text, ',' ORDER BY item::text) FROM unnest(proacl) AS item)
    FROM routines WHERE proacl IS NOT NULL
  UNION ALL
  SELECT 'extension ' || quote_ident(extname), extversion FROM pg_extension
)
SELECT identity, left(md5(coalesce(definition, '')), 10) AS hash FROM objects ORDER BY identity COLLATE "C"`;

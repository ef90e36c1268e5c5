import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { schemaDelta, type SchemaFingerprint } from '../../../contract/schema-delta';
import type { Check } from '../../../contract/place';
import { SCHEMA_FILE, type Manifest } from '../backups/manifest';
import { readFingerprint } from '../inspection/fingerprint';
import { digestOf } from '../inspection/read-schema';
import { lackingTablespaces } from './tablespaces';

/**
 * A dump does not have them, or a restore leaves them out: they would take over what belongs to the real database, or keep
 * the copy from taking writes.
 */
const NEVER_RESTORED =
  /^(collation version|subscription|comment (database|extension|subscription)|security label \S+ on (database|subscription)|setting default_transaction_read_only of the database)( |$)/;

/**
 * A disposable cluster has none of what reaches out of it, belongs to the database as a whole, or runs by itself; a
 * connection would come with a user mapping.
 */
const NOT_IN_A_DISPOSABLE_CLUSTER =
  /^(user mapping |setting |tablespace |database$|grant database$|extension pg_cron$|grant system (function |schema )?cron\b)/;

const NAMED = 10;

/** Compares the schema of a restored copy with that of the backup's snapshot. Undefined where the backup has none. */
export async function checkSchema(
  client: Client,
  folder: string,
  manifest: Manifest,
  disposable: boolean,
): Promise<Check | undefined> {
  const name = 'schema';
  if (manifest.schemaDigest === undefined) return undefined;
  const objects = await readSchema(folder, manifest.schemaDigest);
  if (objects === undefined)
    return { name, ok: false, detail: `${SCHEMA_FILE} is not the one that the manifest is about` };
  const found = await readFingerprint(client, { portable: true });
  const { rows } = await client.query<{ major: number }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS major`,
  );
  const sameMajor = rows[0]!.major === Math.floor(manifest.serverVersionNum / 10_000);
  const moved = disposable || (await lackingTablespaces(client, manifest)).length > 0;
  const counts = (identity: string): boolean =>
    !NEVER_RESTORED.test(identity) &&
    !(disposable && NOT_IN_A_DISPOSABLE_CLUSTER.test(identity)) &&
    !(moved && identity.startsWith('tablespace '));
  return judgeSchema(objects, found.objects, counts, sameMajor);
}

async function readSchema(folder: string, digest: string): Promise<SchemaFingerprint['objects'] | undefined> {
  const text = await readFile(join(folder, SCHEMA_FILE), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const objects = JSON.parse(text) as SchemaFingerprint['objects'];
  return digestOf(objects) === digest ? objects : undefined;
}

function judgeSchema(
  before: SchemaFingerprint['objects'],
  after: SchemaFingerprint['objects'],
  counts: (identity: string) => boolean,
  sameMajor: boolean,
): Check {
  const name = 'schema';
  const delta = schemaDelta({ digest: '', objects: before }, { digest: '', objects: after });
  const differences = [
    ...delta.removed.filter(counts).map((identity) => `${identity} is missing`),
    // Another major version may describe the same object in other words.
    ...(sameMajor ? delta.changed.filter(counts).map((identity) => `${identity} is different`) : []),
    ...Object.keys(delta.added)
      .filter(counts)
      .map((identity) => `${identity} is not in the backup`),
  ];
  const how = sameMajor
    ? 'expressions without their casts and parentheses'
    : 'by name only: the server is of another major version';
  if (differences.length === 0)
    return {
      name,
      ok: true,
      detail: `${Object.keys(before).filter(counts).length} objects as in the backup, compared ${how}`,
    };
  const more = differences.length > NAMED ? ` and ${differences.length - NAMED} more` : '';
  return { name, ok: false, detail: `${differences.slice(0, NAMED).join('; ')}${more}` };
}

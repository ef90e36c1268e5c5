import type { Client } from 'pg';
import type { ServiceConfig } from '../../../config/schema';
import { digestLargeObjects } from '../backups/contents';
import { countLargeObjects, listSequences } from '../backups/inventory';
import type { Manifest } from '../backups/manifest';
import type { ForeignKey } from './validate-constraints';
import type { Check } from '../../../contract/place';

export interface CountedTable {
  schema: string;
  name: string;
  expected: number;
  /** Null where the table did not come back. */
  rows: number | null;
  /** Of its rows in the snapshot, and of those that came back; with `backups.contentDigest`. */
  digest?: string;
  found?: string;
}

/** Rows of every table against the manifest; empty is wrong exactly where it was not empty. */
export function judgeRows(counted: CountedTable[], required: string[]): Check[] {
  const name = (table: CountedTable): string => `${table.schema}.${table.name}`;
  const wrong = counted.filter(({ rows, expected }) => rows !== expected);
  const total = counted.reduce((sum, { rows }) => sum + (rows ?? 0), 0);
  const describe = (table: CountedTable): string =>
    table.rows === null
      ? `${name(table)} is missing`
      : `${name(table)} has ${table.rows} rows instead of ${table.expected}`;
  const lacking = required.filter(
    (wanted) =>
      !counted.some((table) => table.rows !== null && (table.name === wanted || name(table) === wanted)),
  );
  return [
    {
      name: 'rows',
      ok: wrong.length === 0 && counted.length > 0,
      detail:
        wrong.length === 0
          ? `${total} rows in ${counted.length} tables, as in the manifest`
          : wrong.slice(0, 10).map(describe).join('; '),
    },
    {
      name: 'required tables',
      ok: lacking.length === 0,
      detail: lacking.length === 0 ? `${required.length} there` : `missing: ${lacking.join(', ')}`,
    },
  ];
}

/** Contents of every table against the digest of the snapshot, where the backup has them. */
export function judgeContents(manifest: Manifest, counted: CountedTable[]): Check[] {
  const digested = counted.filter(({ digest }) => digest !== undefined);
  if (manifest.tables.every(({ digest }) => digest === undefined)) return [];
  const wrong = digested
    .filter(({ rows, expected, digest, found }) => rows === expected && digest !== found)
    .map(({ schema, name }) => `${schema}.${name} has other contents than in the snapshot`);
  const detail =
    wrong.length === 0
      ? `${digested.length} tables, row by row as in the snapshot, by the sum of their hashes`
      : wrong.slice(0, 10).join('; ');
  return [{ name: 'contents', ok: wrong.length === 0, detail }];
}

/** What is compared by a few small queries. */
export async function checkContents(
  client: Client,
  manifest: Manifest,
  service: ServiceConfig,
  keys: ForeignKey[],
): Promise<Check[]> {
  return [
    await checkSequences(client, manifest),
    await checkLargeObjects(client, manifest),
    await checkExtensions(client, manifest),
    judgeForeignKeys(manifest, keys),
    // Of what was about to be replaced nothing is written to, and so no canary either.
    ...(service.canary.enabled && manifest.purpose !== 'safety' ? [await checkCanary(client, manifest)] : []),
  ];
}

/** Sequences do not follow the snapshot: the dump may be ahead of the manifest, never behind it. */
async function checkSequences(client: Client, manifest: Manifest): Promise<Check> {
  const found = new Map(
    (await listSequences(client)).map((entry) => [`${entry.schema}.${entry.name}`, entry.lastValue]),
  );
  const wrong: string[] = [];
  for (const { schema, name, lastValue, increment } of manifest.sequences) {
    const key = `${schema}.${name}`;
    const now = found.get(key);
    if (now === undefined) wrong.push(`${key} is missing`);
    else if (lastValue !== null && isBehind(now, lastValue, increment))
      wrong.push(`${key} stands at ${now} before ${lastValue}`);
  }
  const detail =
    wrong.length === 0 ? `${manifest.sequences.length} sequences` : wrong.slice(0, 10).join('; ');
  return { name: 'sequences', ok: wrong.length === 0, detail };
}

function isBehind(now: string | null, then: string, increment: string): boolean {
  if (now === null) return true;
  return BigInt(increment) > 0n ? BigInt(now) < BigInt(then) : BigInt(now) > BigInt(then);
}

async function checkLargeObjects(client: Client, manifest: Manifest): Promise<Check> {
  const name = 'large objects';
  const count = await countLargeObjects(client);
  const detail = `${count} of ${manifest.largeObjects}`;
  if (count !== manifest.largeObjects || manifest.largeObjectDigest === undefined)
    return { name, ok: count === manifest.largeObjects, detail };
  const ok = (await digestLargeObjects(client)) === manifest.largeObjectDigest;
  return { name, ok, detail: `${detail}, ${ok ? 'the same' : 'other'} contents` };
}

/** pg_cron is left out of disposable clusters on purpose: it would run jobs. */
async function checkExtensions(client: Client, manifest: Manifest): Promise<Check> {
  const { rows } = await client.query<{ name: string }>('SELECT extname AS name FROM pg_extension');
  const there = new Set(rows.map(({ name }) => name));
  const missing = manifest.extensions
    .map(({ name }) => name)
    .filter((name) => !there.has(name) && name !== 'pg_cron');
  const detail =
    missing.length === 0 ? `${manifest.extensions.length} extensions` : `missing: ${missing.join(', ')}`;
  return { name: 'extensions', ok: missing.length === 0, detail };
}

/** A key that the source had not validated comes back so; every other one must be valid, and none may be gone. */
function judgeForeignKeys(manifest: Manifest, keys: ForeignKey[]): Check {
  const tolerated = new Set(manifest.unvalidatedForeignKeys);
  const invalid = keys
    .filter(({ valid, label }) => !valid && !tolerated.has(label))
    .map(({ label }) => `${label} is not valid`);
  const gone =
    keys.length < manifest.foreignKeys
      ? [`${keys.length} foreign keys instead of ${manifest.foreignKeys}`]
      : [];
  const wrong = [...invalid, ...gone];
  return {
    name: 'foreign keys',
    ok: wrong.length === 0,
    detail: wrong.length === 0 ? `${keys.length} foreign keys are valid` : wrong.slice(0, 10).join('; '),
  };
}

/** The canary of this backup is there and was written after the backup before it: the dump is not an old one. */
async function checkCanary(client: Client, manifest: Manifest): Promise<Check> {
  const failed = (detail: string): Check => ({ name: 'canary', ok: false, detail });
  const { canary, previousSnapshotAt } = manifest;
  if (canary === null)
    return failed('none was in the database when it was backed up. Write one before each backup.');
  const { rows: table } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('durable_runbooks.canary') IS NOT NULL AS there`,
  );
  if (table[0]?.there !== true) return failed('its table did not come back');
  const { rows } = await client.query<{ at: Date }>(
    'SELECT written_at AS at FROM durable_runbooks.canary WHERE id = $1',
    [canary.id],
  );
  const at = rows[0]?.at.toISOString();
  if (at === undefined) return failed(`${canary.id} was not found`);
  if (previousSnapshotAt !== null && at <= previousSnapshotAt) {
    return failed(`${canary.id} of ${at} is older than the backup before this one (${previousSnapshotAt})`);
  }
  return { name: 'canary', ok: true, detail: `${canary.id} of ${at}` };
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import type { SchemaFingerprint } from '../../../contract/schema-delta';
import { readObjects } from '../inspection/read-schema';
import { inTransaction } from '../session/transaction';
import { digestLargeObjects, digestTable, fixOutput } from './contents';
import { countRows } from './inventory';
import { SCHEMA_FILE, type Manifest } from './manifest';

export interface CountedTable {
  schema: string;
  name: string;
  rows: number;
  digest?: string;
}

/** What a snapshot holds, read beside its dump. */
export interface Counted {
  tables: CountedTable[];
  whole: Pick<Manifest, 'schemaDigest' | 'largeObjectDigest'>;
}

interface Reading {
  snapshot: string;
  tables: { schema: string; name: string }[];
  /** Folder of the backup that is being made. */
  partial: string;
  contentDigest: boolean;
  signal: AbortSignal;
  /** Hears of a table, or of the rest, that cannot be read; throws or goes on without it. */
  refuse: (error: unknown, table?: { schema: string; name: string }) => void;
}

/** Counts every table in the snapshot, digests them where that is asked for, and writes down the schema. */
export async function readCounted(client: Client, reading: Reading): Promise<Counted> {
  const { contentDigest, signal, refuse } = reading;
  const tables: CountedTable[] = [];
  let whole: Counted['whole'] = {};
  await inSnapshot(client, reading.snapshot, async () => {
    if (contentDigest) await fixOutput(client);
    for (const { schema, name } of reading.tables) {
      signal.throwIfAborted();
      const table = { schema, name };
      await attempted(
        client,
        (error) => refuse(error, table),
        async () => {
          const counted = contentDigest
            ? await digestTable(client, table)
            : { rows: await countRows(client, table) };
          tables.push({ ...table, ...counted });
        },
      );
    }
    await attempted(client, refuse, async () => {
      // What counting must not use, reading the catalogs does, or it takes for ever.
      await client.query('RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan');
      const schema = await readObjects(client, { portable: true });
      await writeSchema(reading.partial, schema);
      whole = { schemaDigest: schema.digest };
    });
    if (contentDigest) whole = { ...whole, largeObjectDigest: await digestLargeObjects(client) };
  });
  return {
    tables: tables.sort((a, b) => (`${a.schema}.${a.name}` < `${b.schema}.${b.name}` ? -1 : 1)),
    whole,
  };
}

/** Gives back the locks that it took: a server has room for those of some thousand tables and their indexes. */
async function attempted(
  client: Client,
  refuse: (error: unknown) => void,
  body: () => Promise<void>,
): Promise<void> {
  await client.query('SAVEPOINT before_it');
  await body().catch(refuse);
  await client.query('ROLLBACK TO SAVEPOINT before_it');
}

function inSnapshot<T>(client: Client, snapshot: string, body: () => Promise<T>): Promise<T> {
  return inTransaction(
    client,
    async () => {
      // Not a parameter: SET takes none. The ID was made by the server a moment ago.
      await client.query(`SET TRANSACTION SNAPSHOT '${snapshot.replace(/[^0-9A-Za-z-]/g, '')}'`);
      return body();
    },
    { begin: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' },
  );
}

async function writeSchema(partial: string, { objects }: SchemaFingerprint): Promise<void> {
  await writeFile(join(partial, SCHEMA_FILE), `${JSON.stringify(objects)}\n`, { mode: 0o600 });
}

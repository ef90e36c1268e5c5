import { escapeIdentifier, type Client, type QueryConfig } from 'pg';
import { COUNTED_ROWS, type Violation } from '../../../contract/corruption';
import { scrub } from '../../../config/secrets';
import { sqlStateOf } from '../../support/failure';
import type { CorruptionConfig } from '../settings';
import {
  qualified,
  readForeignKeys,
  readUnprovenChecks,
  type ForeignKey,
  type KeyedTable,
} from './catalogue';

/** What rows have to keep to: SQL that returns the rows of `table`, as `c`, that break it. */
export interface Rule {
  name: string;
  table: string;
  /** Of a foreign key. */
  foreign?: ForeignKey;
  /** From and where; `c` is the table. */
  broken: string;
  /** In words of the configuration, whose SQL is not ours. */
  configured?: string;
}

export async function readRules(client: Client, { checks }: CorruptionConfig): Promise<Rule[]> {
  const foreign = (await readForeignKeys(client)).map((key): Rule => {
    const set = key.columns.map((column) => `c.${column} IS NOT NULL`).join(' AND ');
    const match = key.columns.map((column, at) => `p.${key.refers[at]!} = c.${column}`).join(' AND ');
    return {
      name: key.name,
      table: key.child,
      foreign: key,
      broken: `FROM ${key.child} c WHERE ${set} AND NOT EXISTS (SELECT FROM ${key.parent} p WHERE ${match})`,
    };
  });
  const unproven = (await readUnprovenChecks(client)).map(({ name, table, expression }): Rule => ({
    name,
    table,
    broken: `FROM ${table} AS c WHERE NOT (${expression})`,
  }));
  const configured = checks.map(({ name, table, sql }): Rule => {
    const [schema, relation] = table.split('.') as [string, string];
    return {
      name,
      table: `${escapeIdentifier(schema)}.${escapeIdentifier(relation)}`,
      broken: '',
      configured: sql.trim().replace(/;\s*$/, ''),
    };
  });
  return [...foreign, ...unproven, ...configured];
}

/** One rule after the other, each in a read-only transaction of its own; what cannot be looked at is not well. */
export async function countViolations(
  client: Client,
  rules: Rule[],
  onDone: (done: number) => void,
): Promise<Violation[]> {
  const found: Violation[] = [];
  for (const [index, rule] of rules.entries()) {
    const { name, table } = rule;
    try {
      const rows = await readOnly(client, async () => {
        const broken = rule.configured ?? `SELECT ${rule.broken}`;
        const counted = await one(
          client,
          `SELECT count(*)::int AS n FROM (SELECT FROM (${broken}) b LIMIT ${COUNTED_ROWS}) r`,
        );
        return (counted[0] as { n: number }).n;
      });
      if (rows > 0) found.push({ name, table, rows });
    } catch (error) {
      if (sqlStateOf(error) === undefined) throw error;
      found.push({ name, table, rows: 0, problem: scrub((error as Error).message) });
    }
    onDone(index + 1);
  }
  return found;
}

/** Keys of rows that break a rule, at most `limit`; of a foreign key also what they refer to. */
export async function violatingKeys(
  client: Client,
  rule: Rule,
  { columns: { id } }: KeyedTable,
  limit: number,
): Promise<{ key: string; refers: string | null }[]> {
  const refers = rule.foreign?.columns.length === 1 ? `c.${rule.foreign.columns[0]!}::text` : 'NULL';
  const sql =
    rule.configured === undefined
      ? `SELECT c.${id.name}::text AS key, ${refers} AS refers ${rule.broken} ORDER BY c.${id.name} LIMIT ${limit}`
      : `SELECT DISTINCT b.key::text AS key, NULL AS refers FROM (${rule.configured}) AS b(key) ORDER BY 1 LIMIT ${limit}`;
  return readOnly(client, () => one(client, sql)) as Promise<{ key: string; refers: string | null }[]>;
}

/** One statement only: a second one could end the read-only transaction. */
async function one(client: Client, text: string): Promise<Record<string, unknown>[]> {
  return (await client.query({ text, queryMode: 'extended' } as QueryConfig)).rows as Record<
    string,
    unknown
  >[];
}

async function readOnly<T>(client: Client, body: () => Promise<T>): Promise<T> {
  await client.query('BEGIN TRANSACTION READ ONLY');
  try {
    return await body();
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/** Indexes that are not what they should be, where the extension is there to tell; null where it is not. */
export async function damagedIndexes(client: Client): Promise<Violation[] | null> {
  const { rows: found } = await client.query<{ schema: string }>(
    `SELECT quote_ident(n.nspname) AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'`,
  );
  const [amcheck] = found;
  if (amcheck === undefined) return null;
  const { rows } = await client.query<{ oid: string; name: string; table: string }>(
    `SELECT i.indexrelid::text AS oid, i.indexrelid::regclass::text AS name, ${qualified('n', 't')} AS table
       FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam
       JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
      WHERE a.amname = 'btree' AND i.indisvalid AND x.relkind = 'i' AND x.relpersistence = 'p'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 3, 2`,
  );
  const damaged: Violation[] = [];
  for (const { oid, name, table } of rows) {
    try {
      await client.query(`SELECT ${amcheck.schema}.bt_index_check($1::oid)`, [oid]);
    } catch (error) {
      if (sqlStateOf(error) === undefined) throw error;
      const problem = `${scrub((error as Error).message)}. REINDEX INDEX CONCURRENTLY ${name}`;
      damaged.push({ name: `index ${name}`, table, rows: 0, problem });
    }
  }
  return damaged;
}

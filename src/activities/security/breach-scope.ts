import type { Client } from 'pg';
import { scrub } from '../../config/secrets';
import { databaseIn, type Place } from '../../contract/place';
import { withClient } from '../postgres/session/connection';
import { instantParameter, readTables, type MappedColumn } from '../postgres/repair/mapping';
import type { ActivityDeps } from '../support/deps';
import { containmentOf } from './containment-settings';

/** What somebody may have done, as the audit log has it. Counts, and no data of people. */
export interface BreachScope {
  entries: number;
  /** How many people it concerns; null where nothing says so. */
  people: number | null;
  /** Most frequent first, at most ten. */
  actions: { name: string; count: number }[];
  /** Null where no such column is configured. */
  actors: number | null;
  addresses: number | null;
  /** What was asked for, and no column can tell. */
  unfiltered: string[];
}

export interface ScopeInput extends Place {
  /** ISO times. */
  from: string;
  to: string;
  addresses: string[];
  actors: string[];
}

const STATEMENT_TIMEOUT_MS = 50_000;
const MAX_ACTIONS = 10;

/** Counts in the audit log; null where none is configured. Reads only, in a read-only transaction. Throws MappingInvalid. */
export async function readBreachScope(deps: ActivityDeps, input: ScopeInput): Promise<BreachScope | null> {
  const { audit } = containmentOf(deps, input);
  if (audit === undefined) return null;
  const options = {
    action: 'count in the audit log',
    identity: true,
    readOnly: true,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  };
  return withClient(
    deps,
    databaseIn(input),
    async (client) => {
      const path = `services.${input.service}.environments.${input.environment}.security`;
      const tables = await readTables(client, path, { audit });
      return count(client, tables.audit, input);
    },
    options,
  );
}

interface Audit {
  name: string;
  columns: Record<'at' | 'action', MappedColumn> &
    Partial<Record<'actor' | 'address' | 'person', MappedColumn | undefined>>;
}

async function count(client: Client, { name, columns }: Audit, input: ScopeInput): Promise<BreachScope> {
  const { at, action, actor, address, person } = columns;
  const parameters: unknown[] = [input.from, input.to];
  const either: string[] = [];
  const unfiltered: string[] = [];
  for (const [which, wanted, one] of [
    ['addresses', input.addresses, address],
    ['actors', input.actors, actor],
  ] as const) {
    if (wanted.length === 0) continue;
    if (one === undefined) unfiltered.push(which);
    else {
      const texts = which === 'actors' ? wanted : wanted.flatMap(spellingsOf);
      either.push(`${textOf(one)} = ANY($${parameters.push(texts)}::text[])`);
    }
  }
  const filter = either.join(' OR ');
  const where = `t.${at.name} >= ${instantParameter(1, at)} AND t.${at.name} < ${instantParameter(2, at)}${filter === '' ? '' : ` AND (${filter})`}`;
  const distinct = (one: MappedColumn | undefined) =>
    one === undefined ? 'NULL' : `count(DISTINCT t.${one.name})::float8`;
  const { rows } = await client.query<Omit<BreachScope, 'actions' | 'unfiltered'>>(
    `SELECT count(*)::float8 AS entries, ${distinct(person)} AS people, ${distinct(actor)} AS actors, ${distinct(address)} AS addresses
       FROM ${name} t WHERE ${where}`,
    parameters,
  );
  const { rows: actions } = await client.query<{ name: string; count: number }>(
    `SELECT left(t.${action.name}::text, 100) AS name, count(*)::float8 AS count FROM ${name} t WHERE ${where}
      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${MAX_ACTIONS}`,
    parameters,
  );
  return { ...rows[0]!, actions: actions.map((one) => ({ ...one, name: scrub(one.name) })), unfiltered };
}

const MAPPED = '::ffff:';

/** One address is written in several ways, also as what a server for both versions of IP makes of it. */
function spellingsOf(address: string): string[] {
  const small = address.toLowerCase();
  if (!small.includes(':')) return [small, `${MAPPED}${small}`];
  const url = `http://[${small}]/`;
  const short = URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : small;
  const old = small.startsWith(MAPPED) && small.includes('.') ? [small.slice(MAPPED.length)] : [];
  return [small, short, address, ...old];
}

/** Of type inet an address has a mask as a text. */
function textOf({ name, type }: MappedColumn): string {
  return type === 'inet' || type === 'cidr' ? `host(t.${name})` : `t.${name}::text`;
}

import type { ClientBase } from 'pg';
import { readLedgerRows, type LedgerRow } from './ledger';

export type Direction = 'up' | 'down';

/** A migration that is applied now, or in part. */
export interface AppliedEntry {
  name: string;
  sha256: string;
  /** Some of its statements ran, and not all. */
  unfinished?: true;
}

export interface MigrationState {
  /** What was completed last; null where nothing ever was. */
  last: { direction: Direction; sha256: string } | null;
  /** Statements of a script that ran in part after that, oldest first. */
  partial: { direction: Direction; rows: LedgerRow[] } | null;
}

/** What the ledger knows of one migration. On doubt about a COMMIT take the fence first, then read. */
export async function readMigrationState(client: ClientBase, migration: string): Promise<MigrationState> {
  return stateIn(await readLedgerRows(client), migration);
}

/** What rows of the ledger, oldest first, say of one migration. */
export function stateIn(ledger: LedgerRow[], migration: string): MigrationState {
  const rows = ledger.filter((row) => row.migration === migration);
  const lastIndex = rows.findLastIndex(isWhole);
  const whole = rows[lastIndex];
  const later = rows.slice(lastIndex + 1);
  const direction = later.at(-1)?.direction;
  return {
    last: whole === undefined ? null : { direction: whole.direction, sha256: whole.sha256 },
    partial:
      direction === undefined
        ? null
        : { direction, rows: later.filter((row) => row.direction === direction) },
  };
}

/** What is applied by the rows of a ledger, oldest first. */
export function appliedIn(ledger: LedgerRow[]): AppliedEntry[] {
  const applied = new Map<string, AppliedEntry>();
  for (const row of ledger.filter(isWhole)) {
    applied.delete(row.migration);
    if (row.direction === 'up') applied.set(row.migration, { name: row.migration, sha256: row.sha256 });
  }
  return [...applied.values()];
}

/** What is applied, and what was begun and has not ended: everything that a way back has to look at. */
export async function readAppliedOrBegun(client: ClientBase): Promise<AppliedEntry[]> {
  const ledger = await readLedgerRows(client);
  const names = [...new Set(ledger.map(({ migration }) => migration))];
  const begun = names.flatMap((name): AppliedEntry[] => {
    const rows = stateIn(ledger, name).partial?.rows;
    return rows?.[0] === undefined ? [] : [{ name, sha256: rows[0].sha256, unfinished: true }];
  });
  return [...appliedIn(ledger).filter(({ name }) => !begun.some((one) => one.name === name)), ...begun];
}

function isWhole({ statement, status }: LedgerRow): boolean {
  return statement === 0 && status === 'finished';
}

/**
 * Whether a later attempt of this very activity has already written to the ledger: then this one is its ghost, and
 * what the ledger says now may be the work of a step that came after both.
 */
export async function wasOvertaken(client: ClientBase, migration: string, holder: string): Promise<boolean> {
  const { rows } = await client.query<{ holder: string }>(
    'SELECT DISTINCT holder FROM durable_runbooks.ledger WHERE migration = $1',
    [migration],
  );
  const [activity, attempt] = splitHolder(holder);
  return rows
    .map((row) => splitHolder(row.holder))
    .some(([other, later]) => other === activity && later > attempt);
}

function splitHolder(holder: string): [string, number] {
  const slash = holder.lastIndexOf('/');
  return [holder.slice(0, slash), Number(holder.slice(slash + 1))];
}

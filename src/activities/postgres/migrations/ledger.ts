import type { ClientBase } from 'pg';

export interface LedgerRow {
  id: number;
  migration: string;
  direction: 'up' | 'down';
  /** 0 is the whole script; others are statements of a script that runs in several transactions. */
  statement: number;
  sha256: string;
  status: 'started' | 'finished';
}

export type LedgerEntry = Pick<LedgerRow, 'migration' | 'direction' | 'statement' | 'sha256'> & {
  holder: string;
  token: number;
};

/** Every row, oldest first. Empty where the ledger does not exist: then nothing was ever applied. */
export async function readLedgerRows(client: ClientBase): Promise<LedgerRow[]> {
  const { rows: found } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('durable_runbooks.ledger') IS NOT NULL AS there`,
  );
  if (found[0]?.there !== true) return [];
  const { rows } = await client.query<LedgerRow>(
    `SELECT id::int AS id, migration, direction, statement, sha256, status FROM durable_runbooks.ledger ORDER BY id`,
  );
  return rows;
}

/** Writes that a statement outside of a transaction begins. Returns the row's ID for `finishStarted`. */
export async function recordStarted(client: ClientBase, entry: LedgerEntry): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `INSERT INTO durable_runbooks.ledger (migration, direction, statement, sha256, status, holder, token)
     VALUES ($1, $2, $3, $4, 'started', $5, $6) RETURNING id::int AS id`,
    [entry.migration, entry.direction, entry.statement, entry.sha256, entry.holder, entry.token],
  );
  return rows[0]!.id;
}

export async function finishStarted(client: ClientBase, id: number, durationMs: number): Promise<void> {
  await client.query(
    `UPDATE durable_runbooks.ledger SET status = 'finished', finished_at = clock_timestamp(), duration_ms = $2 WHERE id = $1`,
    [id, Math.round(durationMs)],
  );
}

/** Writes a finished row. Belongs into the very transaction whose work it records. */
export async function recordFinished(
  client: ClientBase,
  entry: LedgerEntry,
  durationMs: number,
): Promise<void> {
  await client.query(
    `INSERT INTO durable_runbooks.ledger (migration, direction, statement, sha256, status, holder, token, finished_at, duration_ms)
     VALUES ($1, $2, $3, $4, 'finished', $5, $6, clock_timestamp(), $7)`,
    [
      entry.migration,
      entry.direction,
      entry.statement,
      entry.sha256,
      entry.holder,
      entry.token,
      Math.round(durationMs),
    ],
  );
}

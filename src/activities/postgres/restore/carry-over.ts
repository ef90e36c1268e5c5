import type { ActivityDeps } from '../../support/deps';
import { ensureBookkeeping } from '../session/bookkeeping';
import { withClient } from '../session/connection';
import { listReadableSequences, listSequences, quotedName } from '../backups/inventory';
import { databaseIn, type DatabaseRef } from '../../../contract/place';

/**
 * Gives the copy every fencing token of the live database, never lowering one: whoever is refused there today must be
 * refused by the copy when it takes over.
 */
export async function copyFence(deps: ActivityDeps, into: DatabaseRef): Promise<void> {
  if (into.kind !== 'service') return;
  const rows = await withClient(
    deps,
    databaseIn(into),
    async (live) => {
      const { rows: found } = await live.query<{ there: boolean }>(
        `SELECT to_regclass('durable_runbooks.fence') IS NOT NULL AS there`,
      );
      if (found[0]?.there !== true) return [];
      return (
        await live.query<{ target: string; token: string; attempt: number; holder: string }>(
          'SELECT target, token::text, attempt, holder FROM durable_runbooks.fence',
        )
      ).rows;
    },
    { identity: true, readOnly: true, action: 'read the fence' },
  );
  if (rows.length === 0) return;
  await withClient(
    deps,
    into,
    async (copy) => {
      await ensureBookkeeping(copy);
      for (const { target, token, attempt, holder } of rows) {
        await copy.query(
          `INSERT INTO durable_runbooks.fence AS f (target, token, attempt, holder) VALUES ($1, $2, $3, $4)
             ON CONFLICT (target) DO UPDATE SET token = excluded.token, attempt = excluded.attempt, holder = excluded.holder
             WHERE f.token < excluded.token`,
          [target, token, attempt, holder],
        );
      }
    },
    { identity: true, action: 'fence the copy' },
  );
}

/**
 * Moves the sequences of one database past what those of another one have given out: such numbers are in e-mails, at payment
 * providers and in logs, and must not be given out again. Those that cannot be read are named.
 */
export async function carrySequences(
  deps: ActivityDeps,
  from: DatabaseRef,
  into: DatabaseRef,
): Promise<{ moved: number; unreadable?: string[] }> {
  const options = { identity: true, readOnly: true, action: 'read the sequences' };
  const { sequences, unreadable } = await withClient(deps, from, listReadableSequences, options);
  return withClient(
    deps,
    into,
    async (copy) => {
      const restored = new Map(
        (await listSequences(copy)).map((entry) => [`${entry.schema}.${entry.name}`, entry]),
      );
      let moved = 0;
      for (const { schema, name, lastValue, increment } of sequences) {
        const own = restored.get(`${schema}.${name}`);
        if (own === undefined || lastValue === null || !isAhead(lastValue, own.lastValue, increment))
          continue;
        await copy.query('SELECT setval($1::regclass, $2::bigint, true)', [
          quotedName({ schema, name }),
          lastValue,
        ]);
        moved += 1;
      }
      const names = unreadable.map(({ schema, name }) => `${schema}.${name}`);
      return { moved, ...(names.length > 0 ? { unreadable: names } : {}) };
    },
    { identity: true, evenReadOnly: true, action: 'move the sequences' },
  );
}

function isAhead(value: string, than: string | null, increment: string): boolean {
  if (than === null) return true;
  return BigInt(increment) > 0n ? BigInt(value) > BigInt(than) : BigInt(value) < BigInt(than);
}

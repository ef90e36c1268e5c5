import { escapeIdentifier } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { ensureBookkeeping } from '../session/bookkeeping';
import { withClient } from '../session/connection';
import { listSequences } from '../backups/inventory';
import type { DatabaseRef } from '../../../contract/place';

type BesideLive = Extract<DatabaseRef, { kind: 'service' }>;

function liveOf(into: BesideLive): DatabaseRef {
  return { kind: 'service', service: into.service, environment: into.environment };
}

/**
 * Gives the copy every fencing token of the live database, never lowering one: whoever is refused there today must be
 * refused by the copy when it takes over.
 */
export async function copyFence(deps: ActivityDeps, into: DatabaseRef): Promise<void> {
  if (into.kind !== 'service') return;
  const rows = await withClient(
    deps,
    liveOf(into),
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
 * Moves the copy's sequences to where the live ones are: numbers given out since the backup are in e-mails, at payment
 * providers and in logs, and must not be given out again. A live database that cannot be read bumps nothing.
 */
export async function bumpSequences(deps: ActivityDeps, into: DatabaseRef): Promise<number> {
  if (into.kind !== 'service') return 0;
  const options = { identity: true, readOnly: true, action: 'read the sequences' };
  const live = await withClient(deps, liveOf(into), (client) => listSequences(client), options).catch(
    () => [],
  );
  return withClient(
    deps,
    into,
    async (copy) => {
      const restored = new Map(
        (await listSequences(copy)).map((entry) => [`${entry.schema}.${entry.name}`, entry]),
      );
      let bumped = 0;
      for (const { schema, name, lastValue, increment } of live) {
        const own = restored.get(`${schema}.${name}`);
        if (own === undefined || lastValue === null) continue;
        const ahead =
          BigInt(increment) > 0n
            ? BigInt(lastValue) > BigInt(own.lastValue ?? '-9223372036854775808')
            : BigInt(lastValue) < BigInt(own.lastValue ?? '9223372036854775807');
        if (!ahead) continue;
        await copy.query('SELECT setval($1::regclass, $2::bigint, true)', [
          `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`,
          lastValue,
        ]);
        bumped += 1;
      }
      return bumped;
    },
    { identity: true, action: 'move the sequences' },
  );
}

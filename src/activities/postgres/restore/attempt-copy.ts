import { createHash } from 'node:crypto';
import { escapeIdentifier, type Client } from 'pg';
import type { Fence } from '../../../contract/place';
import { fail } from '../../support/failure';
import { applicationName, currentActivity } from '../../support/heartbeat';
import { maintenanceSchema } from '../session/bookkeeping';
import { keepFence } from '../session/fence';
import { inTransaction } from '../session/transaction';
import { findDatabase } from './database-marks';

/** Databases of this prefix are ours before they carry a mark: CREATE DATABASE and COMMENT cannot be one step. */
const NEW_PREFIX = 'durable_runbooks_new_';

function prefixOf(name: string): string {
  return NEW_PREFIX + createHash('sha256').update(name).digest('hex').slice(0, 16);
}

/**
 * The database in which this attempt makes the copy `name`. Each has one of its own: an attempt that was given up and
 * wakes up again finds nothing of its successor under the names that it knows.
 */
export function attemptName(name: string): string {
  return `${prefixOf(name)}_${currentActivity().attempt}`;
}

/** Drops what attempts up to this one left; for `all`, what any of them did. */
export async function dropAttempts(client: Client, name: string, all = false): Promise<void> {
  const { rows } = await client.query<{ found: string }>(
    `SELECT datname AS found FROM pg_database WHERE datname ~ ('^' || $1 || '(_[0-9]+)?$')`,
    [prefixOf(name)],
  );
  const { attempt } = currentActivity();
  for (const { found } of rows) {
    if (all || Number(found.slice(prefixOf(name).length + 1)) <= attempt) await dropDatabase(client, found);
  }
}

export async function dropDatabase(client: Client, name: string): Promise<void> {
  await client.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} WITH (FORCE)`);
}

/**
 * Drops the copy that an earlier attempt finished under that name. Throws TargetNotOurs for a database without our mark,
 * StaleFencingToken where a later attempt made it.
 */
export async function clearCopy(client: Client, name: string, anyIsOurs: boolean): Promise<void> {
  const existing = await findDatabase(client, name);
  if (existing === undefined) return;
  if (!anyIsOurs && existing.mark?.kind !== 'restored') {
    throw fail(
      'TargetNotOurs',
      `A database "${name}" exists and carries no mark of a restored copy of ours. Nothing was changed.`,
    );
  }
  if (existing.mark?.holder !== undefined && isLater(existing.mark.holder)) {
    throw fail(
      'StaleFencingToken',
      `"${name}" was made by a later attempt (${existing.mark.holder}) than ${applicationName()}. Nothing was changed.`,
    );
  }
  await dropDatabase(client, name);
}

/** Gives the finished copy its name, if this attempt still is the one that holds the fence. Throws StaleFencingToken. */
export async function publishCopy(client: Client, name: string, fence: Fence): Promise<void> {
  const schema = await maintenanceSchema(client);
  await inTransaction(client, async () => {
    await keepFence(client, fence, applicationName(), schema);
    // All that was loaded was committed without waiting for the disk; this commit waits for all of it.
    await client.query(
      `SELECT set_config('synchronous_commit', 'local', true) WHERE current_setting('synchronous_commit') = 'off'`,
    );
    await client.query(
      `ALTER DATABASE ${escapeIdentifier(attemptName(name))} RENAME TO ${escapeIdentifier(name)}`,
    );
  });
}

/** Whether that session name is one of a later attempt of this activity. */
function isLater(holder: string): boolean {
  const attempt = Number(/\/(\d+)$/.exec(holder)?.[1]);
  return holder === applicationName(attempt) && attempt > currentActivity().attempt;
}

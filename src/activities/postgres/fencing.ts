import type { Client } from 'pg';
import { ensureBookkeeping } from '../support/bookkeeping';
import { applicationName, currentActivity } from '../support/heartbeat';
import { takeFence } from './fence';
import type { Fence } from '../../contract/place';

/**
 * Takes the fence in a transaction of its own: for work that cannot run inside one (dump, CREATE DATABASE, RENAME of
 * a database from outside). Throws StaleFencingToken. Creates the bookkeeping where it is missing.
 */
export async function fenceSession(client: Client, fence: Fence): Promise<void> {
  await ensureBookkeeping(client);
  await client.query('BEGIN');
  try {
    await takeFence(client, fence, currentActivity().attempt, applicationName());
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

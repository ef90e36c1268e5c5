import type { Client, Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { missingSearchAttributes, registration } from '../check/search-attributes';
import { searchAttributes } from '../contract/search-attributes';

const KEYWORD = temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
const ALREADY_EXISTS = 6;

/** Registers the search attributes that runs upsert: an unregistered one would block a run. Idempotent. */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const wanted = Object.values(searchAttributes).map(({ name }) => name);
  const { customAttributes } = await connection.operatorService
    .listSearchAttributes({ namespace })
    // The time-skipping server cannot list them, and adds them.
    .catch(() => ({ customAttributes: {} }));
  const missing = wanted.filter((name) => !(name in (customAttributes ?? {})));
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    if ((error as { code?: number }).code !== ALREADY_EXISTS) throw error;
  }
}

/**
 * The same where it may be done. Where not (Temporal Cloud, a cluster whose operators are other people) it looks whether
 * they are there; else returns what somebody has to do.
 */
export async function ensureSearchAttributes(client: Client): Promise<string | undefined> {
  const { namespace } = client.options;
  try {
    await registerSearchAttributes(client.connection as Connection, namespace);
    return undefined;
  } catch (error) {
    const missing = await missingSearchAttributes(client);
    if (missing.length === 0) return undefined;
    return `the search attributes ${missing.join(', ')} (Keyword) are not registered in namespace ${namespace}, and this worker may not register them (${(error as Error).message}). Every run stops at its first step until somebody does, and then goes on by itself: ${registration(missing, namespace)}`;
  }
}

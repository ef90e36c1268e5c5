import type { Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { searchAttributes } from '../contract/search-attributes';

const KEYWORD = temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
const ALREADY_EXISTS = 6;

/**
 * Registers the search attributes that runs upsert: an unregistered one would block a run. Idempotent.
 * Where the worker may not (Temporal Cloud), they must have been registered by hand.
 */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const wanted = Object.values(searchAttributes).map(({ name }) => name);
  const { customAttributes } = await connection.operatorService
    .listSearchAttributes({ namespace })
    .catch(() => ({ customAttributes: {} }));
  const missing = wanted.filter((name) => !(name in customAttributes));
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    if ((error as { code?: number }).code === ALREADY_EXISTS) return;
    throw new Error(
      `the search attributes ${missing.join(', ')} (Keyword) are not registered in namespace ${namespace}, and this worker may not register them: ${(error as Error).message}`,
    );
  }
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { PACKAGE_ROOT } from '../../src/config/version';

/**
 * Stores the history of a run for test/replay.test.ts, where STORE_HISTORIES is set: of runbooks that need a simulator, which
 * scripts/store-histories.mjs does not have.
 */
export async function keepHistory(handle: WorkflowHandle, name: string): Promise<void> {
  if (process.env['STORE_HISTORIES'] === undefined) return;
  const file = join(PACKAGE_ROOT, 'test', 'histories', `${name}.json`);
  writeFileSync(file, `${historyToJSON(await handle.fetchHistory())}\n`);
}

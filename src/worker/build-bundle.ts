import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { BUNDLE_PATH, WORKFLOWS_PATH } from './bundle';

/** Built ahead, so that a worker is ready in under a second. */
async function main(): Promise<void> {
  const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS_PATH });
  mkdirSync(dirname(BUNDLE_PATH), { recursive: true });
  writeFileSync(BUNDLE_PATH, code);
  console.log(`workflow bundle: ${Math.round(code.length / 1_000)} kB`);
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { WorkflowBundleOption } from '@temporalio/worker';

export interface Bundle {
  code: string;
  buildId: string;
}

const SOURCE_MAP = '\n//# sourceMappingURL=';
const LENGTH = 12;

/**
 * The Build ID of a workflow bundle: the hash of its code. Without the source map, which names the folder it was built
 * in, so that the same release is the same version on every host.
 */
export function buildIdOf(code: string): string {
  const end = code.lastIndexOf(SOURCE_MAP);
  return createHash('sha256')
    .update(end < 0 ? code : code.slice(0, end))
    .digest('hex')
    .slice(0, LENGTH);
}

/** Reads a bundle once: what the worker runs is then what was hashed, also when an upgrade replaces the file meanwhile. */
export async function readBundle(bundle: WorkflowBundleOption): Promise<Bundle> {
  const code = 'code' in bundle ? bundle.code : await readFile(bundle.codePath, 'utf8');
  return { code, buildId: buildIdOf(code) };
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../config/version';

/** Compiled workflow code that the bundle is made of. */
export const WORKFLOWS_PATH = join(PACKAGE_ROOT, 'dist', 'src', 'workflows', 'index.js');

/** Where `npm run build` leaves the bundle. */
export const BUNDLE_PATH = join(PACKAGE_ROOT, 'dist', 'src', 'worker', 'workflows.bundle.js');

/** The prebuilt bundle. Throws when it is missing: a production worker never builds one on the fly. */
export function workflowBundle(): { codePath: string } {
  if (existsSync(BUNDLE_PATH)) return { codePath: BUNDLE_PATH };
  throw new Error(`the workflow bundle ${BUNDLE_PATH} is missing. Run \`npm run build\`.`);
}

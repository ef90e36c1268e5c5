import { join } from 'node:path';
import { PACKAGE_ROOT } from '../config/version';

/** Where `npm run build` leaves the bundle of our own packs. */
export const OWN_BUNDLE = join(PACKAGE_ROOT, 'dist', 'src', 'build', 'workflows.bundle.js');

/** The module that it is made of. */
export const OWN_ENTRY = join(PACKAGE_ROOT, 'dist', 'src', 'build', 'workflows-entry.cjs');

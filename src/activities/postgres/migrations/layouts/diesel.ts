import { foldersWith } from './folders';
import type { Layout } from './layout';

/**
 * `NAME/up.sql` and `NAME/down.sql`, by the name of the folder. Of its metadata: whether it runs in a transaction is read
 * from the statements themselves.
 */
export const diesel: Layout = {
  ...foldersWith('up.sql', (path) => /^[^/]+\/metadata\.toml$/.test(path)),
  // Its table has what comes before the first underscore, without dashes.
  isApplied: (name, told) => told.includes(name.replace(/_.*$/, '').replaceAll('-', '')),
};

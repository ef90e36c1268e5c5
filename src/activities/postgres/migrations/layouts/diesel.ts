import { foldersWith } from './folders';

/**
 * `NAME/up.sql` and `NAME/down.sql`, by the name of the folder. Of its metadata: whether it runs in a transaction is read
 * from the statements themselves.
 */
export const diesel = foldersWith('up.sql', (path) => /^[^/]+\/metadata\.toml$/.test(path));

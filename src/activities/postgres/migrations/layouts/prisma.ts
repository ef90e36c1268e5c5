import { foldersWith } from './folders';

/** `NAME/migration.sql`, by the name of the folder; Prisma itself reads no way back, and minds none. */
export const prisma = foldersWith('migration.sql', (path) => path === 'migration_lock.toml');

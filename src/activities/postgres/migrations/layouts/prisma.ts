import { NAME, sortFiles, type Layout } from './layout';

const SHAPE = 'NAME/migration.sql, with NAME/down.sql for the way back';
const FOLDER = new RegExp(`^${NAME}$`);
const UP = new RegExp(`^(${NAME})/migration\\.sql$`);
const DOWN = new RegExp(`^(${NAME})/down\\.sql$`);

/** `NAME/migration.sql`, by the name of the folder; Prisma itself reads no way back, and minds none. */
export const prisma: Layout = {
  shape: SHAPE,
  signOf: ({ files }) => files.find((file) => UP.test(file)),
  isName: (name) => FOLDER.test(name),
  sort: (folder) =>
    sortFiles(folder, {
      shape: SHAPE,
      up: (path) => {
        const name = UP.exec(path)?.[1];
        return name === undefined ? undefined : { name, key: name };
      },
      down: (path) => DOWN.exec(path)?.[1],
      downPath: (key) => `${key}/down.sql`,
      own: (path) => path === 'migration_lock.toml',
    }),
};

import { NAME, sortFiles, type Layout } from './layout';

const SHAPE = 'NAME/up.sql, with NAME/down.sql for the way back';
const FOLDER = new RegExp(`^${NAME}$`);
const UP = new RegExp(`^(${NAME})/up\\.sql$`);
const DOWN = new RegExp(`^(${NAME})/down\\.sql$`);

/** `NAME/up.sql` and `NAME/down.sql`, by the name of the folder. */
export const diesel: Layout = {
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
      // Whether it runs in a transaction is read from the statements themselves.
      own: (path) => /^[^/]+\/metadata\.toml$/.test(path),
    }),
};

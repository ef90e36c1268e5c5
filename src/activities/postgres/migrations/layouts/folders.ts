import { NAME, sortFiles, type Layout, type Rules } from './layout';

/** A folder for each migration, by its name: `script` in it, and `down.sql` for the way back. */
export function foldersWith(script: string, own: NonNullable<Rules['own']>): Layout {
  const shape = `NAME/${script}, with NAME/down.sql for the way back`;
  const folder = new RegExp(`^${NAME}$`);
  const up = new RegExp(`^(${NAME})/${script.replaceAll('.', '\\.')}$`);
  const down = new RegExp(`^(${NAME})/down\\.sql$`);
  return {
    shape,
    signOf: ({ files }) => files.find((file) => up.test(file)),
    isName: (name) => folder.test(name),
    sort: (files) =>
      sortFiles(files, {
        shape,
        up: (path) => {
          const name = up.exec(path)?.[1];
          return name === undefined ? undefined : { name, key: name };
        },
        down: (path) => down.exec(path)?.[1],
        downPath: (key) => `${key}/down.sql`,
        own,
      }),
  };
}

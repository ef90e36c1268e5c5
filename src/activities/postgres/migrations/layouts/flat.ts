import { NAME, sortFiles, type Layout } from './layout';

const SHAPE = 'NAME.sql, with NAME.down.sql for the way back, in one folder';
const SCRIPT = new RegExp(`^${NAME}\\.sql$`);
const DOWN = /\.down\.sql$/;

const OF_OTHERS = /\.(up|down)\.sql$|^[VURB][\d._]*__|^(before|after)[A-Z]/;

const isName = (name: string): boolean => SCRIPT.test(name) && !DOWN.test(name);

/** `NAME.sql` and `NAME.down.sql`, by name. */
export const flat: Layout = {
  shape: SHAPE,
  // What another layout's names say is left to that one, unless its ways back are called as here.
  signOf: ({ files }) =>
    files.find((file) => SCRIPT.test(file) && !OF_OTHERS.test(file)) ??
    files.find((file) => /^[VUR][\d._]*__.*\.down\.sql$/.test(file)),
  isName,
  sort: (folder) =>
    sortFiles(folder, {
      shape: SHAPE,
      up: (path) => (isName(path) ? { name: path, key: path.replace(/\.sql$/, '') } : undefined),
      down: (path) => (SCRIPT.test(path) && DOWN.test(path) ? path.replace(DOWN, '') : undefined),
      downPath: (key) => `${key}.down.sql`,
    }),
};

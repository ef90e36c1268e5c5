import { sortFiles, type Layout } from './layout';

const SHAPE = 'TIMESTAMP_NAME.sql';
const SCRIPT = /^\d+_[A-Za-z0-9_.-]*\.sql$/;
const DOWN = /\.down\.sql$/;

const isName = (name: string): boolean => SCRIPT.test(name) && !DOWN.test(name);

/** `TIMESTAMP_NAME.sql`, by name. Not recognised by itself: it looks like a flat folder, and applies like one. */
export const supabase: Layout = {
  shape: SHAPE,
  signOf: () => undefined,
  isName,
  sort: (folder) =>
    sortFiles(folder, {
      shape: SHAPE,
      up: (path) => (isName(path) ? { name: path, key: path } : undefined),
      why: (path) =>
        DOWN.test(path)
          ? 'Supabase knows no ways back and would apply it as a migration of its own; `layout: flat` takes it for one'
          : undefined,
    }),
};

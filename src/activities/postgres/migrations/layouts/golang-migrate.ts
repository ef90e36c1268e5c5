import { compareText, NAME, sortFiles, type Keyed, type Layout } from './layout';
import { refuseTwins } from './twins';

const SHAPE = 'VERSION_NAME.up.sql, with VERSION_NAME.down.sql for the way back';
const UP = /^((\d+)_[A-Za-z0-9_.-]*)\.up\.sql$/;
const DOWN = /^(\d+_[A-Za-z0-9_.-]*)\.down\.sql$/;

const versionOf = ({ name }: Keyed): bigint => BigInt(UP.exec(name)?.[2] ?? 0);

/** `VERSION_NAME.up.sql` and `.down.sql`, by version: 10 comes after 9. */
export const golangMigrate: Layout = {
  shape: SHAPE,
  signOf: ({ files }) => files.find((file) => new RegExp(`^${NAME}\\.up\\.sql$`).test(file)),
  isName: (name) => UP.test(name),
  sort: (folder) => {
    const sorted = sortFiles(folder, {
      shape: SHAPE,
      up: (path) => {
        const key = UP.exec(path)?.[1];
        return key === undefined ? undefined : { name: path, key };
      },
      down: (path) => DOWN.exec(path)?.[1],
      downPath: (key) => `${key}.down.sql`,
      compare: (a, b) => {
        const [one, other] = [versionOf(a), versionOf(b)];
        return one < other ? -1 : one > other ? 1 : compareText(a.name, b.name);
      },
    });
    refuseTwins(sorted, ({ name }) => String(BigInt(UP.exec(name)?.[2] ?? 0)));
    return sorted;
  },
  // Its table has the version that was reached, and no other.
  isApplied: (name, told) =>
    told.some((one) => /^\d+$/.test(one) && BigInt(one) >= versionOf({ name, key: name })),
};

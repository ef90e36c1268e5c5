import { sortFiles, type Keyed, type Layout } from './layout';
import { refuseTwins } from './twins';

const SHAPE = 'V<version>__NAME.sql, with U<version>__NAME.sql for the way back';
const UP = /^V(\d+(?:[._]\d+)*)__[A-Za-z0-9_.-]*\.sql$/;
const DOWN = /^U(\d+(?:[._]\d+)*)__[A-Za-z0-9_.-]*\.sql$/;

/** `1_02` and `1.2` are one version, and `1.0` is `1`. */
function normalized(version: string): string {
  const parts = version.split(/[._]/).map((part) => String(BigInt(part)));
  while (parts.length > 1 && parts.at(-1) === '0') parts.pop();
  return parts.join('.');
}

function byVersion(a: Keyed, b: Keyed): number {
  const [one, other] = [a.key.split('.').map(BigInt), b.key.split('.').map(BigInt)];
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    const [left, right] = [one[index] ?? 0n, other[index] ?? 0n];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

const keyOf = (pattern: RegExp, path: string): string | undefined => {
  const version = pattern.exec(path)?.[1];
  return version === undefined ? undefined : normalized(version);
};

/** `V1.2__NAME.sql` and `U1.2__NAME.sql`, by version: 1.10 comes after 1.9. */
export const flyway: Layout = {
  shape: SHAPE,
  signOf: ({ files }) => files.find((file) => UP.test(file)),
  isName: (name) => UP.test(name),
  sort: (folder) => {
    const sorted = sortFiles(folder, {
      shape: SHAPE,
      up: (path) => {
        const key = keyOf(UP, path);
        return key === undefined ? undefined : { name: path, key };
      },
      down: (path) => keyOf(DOWN, path),
      downPath: (_key, name) => name.replace(/^V/, 'U'),
      own: (path) => /(^|\/)flyway\.(conf|toml)$/.test(path),
      compare: byVersion,
      why: whyNot,
    });
    refuseTwins(sorted, ({ name }) => keyOf(UP, name) ?? name);
    return sorted;
  },
};

/** What Flyway does with files that have no one place in the order. */
function whyNot(path: string): string | undefined {
  if (/^R__/.test(path))
    return 'it is repeatable: Flyway runs it again whenever it changes, after all the others. Apply it with Flyway, or give it a version';
  if (/^B[\d._]+__/.test(path)) return 'it is a baseline, which Flyway runs in an empty database only';
  if (/^(before|after)[A-Z]\w*(__.*)?\.sql$/.test(path)) return 'it is a callback of Flyway';
  return undefined;
}

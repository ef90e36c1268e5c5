import { fail } from '../../../support/failure';
import type { Entry, Sorted } from './layout';

/** Two migrations of one version have no order. Throws InvalidInput. */
export function refuseTwins({ migrations }: Sorted, versionOf: (entry: Entry) => string): void {
  const byVersion = new Map<string, string>();
  for (const entry of migrations) {
    const version = versionOf(entry);
    const other = byVersion.get(version);
    if (other !== undefined)
      throw fail(
        'InvalidInput',
        `${other} and ${entry.name} are both version ${version}, so neither comes first. Rename one of them.`,
      );
    byVersion.set(version, entry.name);
  }
}

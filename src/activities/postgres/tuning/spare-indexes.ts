import type { IndexChange } from '../../../contract/tuning';
import { bytes, countOf } from '../../../contract/text';
import { leadsWith, type ForeignKey, type IndexFacts } from './index-facts';

/** Indexes of which others say that they are needed for nothing, and why each may go or has to stay. */
export interface SpareIndexes {
  changes: IndexChange[];
  findings: string[];
}

/** Left by a build that failed: every write pays for it, and no plan may use it. */
export function invalidIndexes(indexes: IndexFacts[]): SpareIndexes {
  const spare: SpareIndexes = { changes: [], findings: [] };
  for (const one of indexes) {
    if (one.valid || one.building) continue;
    if (one.keptBecause !== null)
      spare.findings.push(
        `${one.index} is invalid, and ${one.keptBecause}: REINDEX INDEX CONCURRENTLY ${one.index};`,
      );
    else
      spare.changes.push(
        needlessDropOf(one, 'it is invalid: a build that failed has left it, and no plan may use it', true),
      );
  }
  return spare;
}

/** Of equal ones the first that somebody needs stays, or else the one that is scanned most. */
export function duplicateIndexes(indexes: IndexFacts[]): SpareIndexes & { staying: string[] } {
  const spare = { changes: [] as IndexChange[], findings: [] as string[], staying: [] as string[] };
  for (const equal of groupsBy(
    indexes.filter(({ valid }) => valid),
    ({ shape, table }) => `${table} ${shape}`,
  )) {
    const stays =
      equal.find(({ keptBecause }) => keptBecause !== null) ??
      equal.reduce((most, one) => (one.allScans > most.allScans ? one : most));
    spare.staying.push(stays.index);
    for (const one of equal) {
      if (one === stays) continue;
      if (one.keptBecause === null)
        spare.changes.push(needlessDropOf(one, `it finds the same as ${stays.index}`, false));
      else spare.findings.push(`${one.index} finds the same as ${stays.index}, but ${one.keptBecause}`);
    }
  }
  return spare;
}

/** Whatever the shorter one finds the longer one finds as well, though it is larger: only plans tell. */
export function overlappingIndexes(indexes: IndexFacts[]): string[] {
  const plain = indexes.filter(
    ({ btree, partial, valid, columns }) => btree && valid && !partial && !columns.includes(null),
  );
  return plain.flatMap((short) => {
    const long = plain.find(
      (one) =>
        one.table === short.table &&
        one.columns.length > short.columns.length &&
        short.columns.every((column, place) => one.columns[place] === column),
    );
    if (long === undefined || short.keptBecause !== null) return [];
    return [
      `${short.index} (${bytes(short.bytes)}, ${countOf(short.allScans, 'scan')}) is the beginning of ${long.index}; where that is as good: DROP INDEX CONCURRENTLY ${short.index};`,
    ];
  });
}

/** No scan for long enough; each is still to be tried on the statements that are known. */
export function unusedIndexes(indexes: IndexFacts[], keys: ForeignKey[], since: string): SpareIndexes {
  const spare: SpareIndexes = { changes: [], findings: [] };
  for (const one of indexes) {
    if (one.scans > 0 || !one.valid) continue;
    const key = keys.find(({ table, columns }) => table === one.table && leadsWith(one, columns));
    const kept = one.keptBecause ?? (key === undefined ? null : `foreign key ${key.name} is checked with it`);
    if (kept === null) spare.changes.push(dropOf(one, lastUseOf(one, since)));
    // That a key or a unique index is not scanned is nothing to tell.
    else if (!/primary key|keeps values apart|needs it/.test(kept))
      spare.findings.push(
        `${one.index} (${bytes(one.bytes)}) stays though it is not used: ${kept}; ${lastUseOf(one, since)}`,
      );
  }
  return spare;
}

function lastUseOf({ allScans, lastScan }: IndexFacts, since: string): string {
  if (allScans === 0) return `no scan of it since ${since}`;
  return `last scan ${lastScan}, ${countOf(allScans, 'scan')} since ${since}`;
}

function dropOf(one: IndexFacts, why: string): IndexChange {
  const { index, table, definition, bytes: size, tablespace, comment } = one;
  return { kind: 'drop', index, table, definition, why, bytes: size, helps: [], tablespace, comment };
}

function needlessDropOf(one: IndexFacts, why: string, invalid: boolean): IndexChange {
  return { ...dropOf(one, why), needless: true, invalid };
}

function groupsBy<T>(items: T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()].filter(({ length }) => length > 1);
}

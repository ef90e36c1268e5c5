import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDamage } from '../session/damage';
import { currentActivity } from '../../support/heartbeat';
import { quotedName, type CountableTable } from './inventory';
import { DATA_FOLDER, type Manifest } from './manifest';
import { LARGE_OBJECTS, runDump, watched, type DumpRun } from './pg-dump';
import type { Counted } from './snapshot-contents';

/** What of a database is in its dump, and what is not. */
export interface Saved {
  counted: Counted;
  unsaved: NonNullable<Manifest['unsaved']>;
}

/** Reads tables and schema in the snapshot; `refuse` hears of what cannot be read, and throws or goes on without it. */
export type ReadSnapshot = (
  run: DumpRun,
  signal: AbortSignal,
  refuse: (error: unknown, table?: { schema: string; name: string }) => void,
) => Promise<Counted>;

/** As many tables may be lost to damage as pg_dump is started again for: each failure names one. */
const MOST_UNSAVED = 50;

/**
 * Of a damaged database: all but the tables that cannot be read. Counting finds most of them; what only the values show,
 * pg_dump names one by one.
 */
export async function saveWhatCanBeRead(run: DumpRun, readSnapshot: ReadSnapshot): Promise<Saved> {
  const { signal } = currentActivity();
  return watched(run, async () => {
    const unsaved = new Map(run.unreadable.map(({ schema, name, why }) => [`${schema}.${name}`, why]));
    const counted = await readSnapshot(run, signal, (error, table) => {
      if (!isDamage(error)) throw error;
      if (table !== undefined) unsaved.set(`${table.schema}.${table.name}`, (error as Error).message);
    });
    for (;;) {
      try {
        await runDump(run, signal, unsaved);
        break;
      } catch (error) {
        signal.throwIfAborted();
        const what = unreadableIn((error as Error).message, run.tables);
        if (what === undefined || unsaved.has(what) || unsaved.size >= MOST_UNSAVED) throw error;
        unsaved.set(what, (error as Error).message);
        await rm(join(run.partial, DATA_FOLDER), { recursive: true, force: true });
      }
    }
    return {
      counted: {
        ...counted,
        tables: counted.tables.filter(({ schema, name }) => !unsaved.has(`${schema}.${name}`)),
      },
      unsaved: [...unsaved].map(([what, why]) => ({ what, why })),
    };
  });
}

/** What a failure of pg_dump says it could not read: a table, or the large objects. */
function unreadableIn(message: string, tables: CountableTable[]): string | undefined {
  if (/large object/i.test(message)) return LARGE_OBJECTS;
  const name =
    /contents of table "((?:[^"]|"")+)" failed/.exec(message)?.[1] ?? /COPY (.+?) \(/.exec(message)?.[1];
  if (name === undefined) return undefined;
  const found = tables.find((table) =>
    [table.name, `${table.schema}.${table.name}`, quotedName(table)].includes(name),
  );
  return found === undefined ? undefined : `${found.schema}.${found.name}`;
}

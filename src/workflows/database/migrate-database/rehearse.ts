import {
  describeLosses,
  isLossless,
  type Additions,
  type ContentsDelta,
  type Lost,
} from '../../../contract/contents';
import { isOrder, touched, type SchemaDelta } from '../../../contract/schema-delta';
import type { ApplyResult, Migration } from '../../../contract/migration';
import { type DatabaseRef, targetOf } from '../../../contract/place';
import { digest, type Run, type Verdict } from '../../kit';
import { invariantsHold } from '../checks';
import { nameForRun } from '../names';
import { applyTo, readApplied, type Target } from './apply';
import type { Diagnosis } from './diagnose';

/** How a migration goes back, as the clone has shown. */
export type Back =
  /** Its down script gives everything back. `writes`: it changes rows beyond what the migration has added. */
  | { kind: 'down'; writes: boolean }
  /** It has none, or one that does not. */
  | { kind: 'restore'; why: string }
  /** A later one keeps its down script from being tried, or what came of that from being told. */
  | { kind: 'unrehearsed'; why: string };

export interface Rehearsed {
  migration: Migration;
  up: ApplyResult;
  /** What became of what was there before. */
  contents: ContentsDelta;
  back: Back;
}

export interface Rehearsal {
  migrations: Rehearsed[];
  /** What the migrations did to the clone's schema; production must show the same. */
  delta: SchemaDelta;
  deltaDigest: string;
  /** Rows of the tables, and values of the columns, that they have added. */
  additions: Additions;
  /** What was applied before, as it was restored. */
  appliedBefore: string[];
  warnings: string[];
}

/** Up, check, down, compare: on production's own data, in a cluster that can hurt nobody. */
export async function rehearseOnClone(
  run: Run,
  diagnosis: Diagnosis,
  clone: DatabaseRef,
): Promise<Rehearsal> {
  const { place, pending } = diagnosis;
  // Nobody else uses the clone, so its fence only has to be one that the copy accepts.
  const fence = { target: targetOf(place), token: Number.MAX_SAFE_INTEGER };
  const on: Target = { database: clone, fence, where: 'the clone' };
  const looks = looksAt(run, on);

  const appliedBefore = await readApplied(run, on);
  await looks.saveSchema(0);
  await looks.saveContents(0, 'Look at what the clone holds');
  const lastWithoutDown = pending.findLastIndex((one) => one.downSha256 === null || wasBegun(one));
  const ups: Omit<Rehearsed, 'back'>[] = [];
  for (const [index, migration] of pending.entries()) {
    // The state that its down script has to lead back to.
    if (index > 0 && index > lastWithoutDown) await looks.saveSchema(index);
    const up = await applyTo(run, diagnosis, { ...on, migration, direction: 'up', undo: 'disposable' });
    const { since } = await looks.saveContents(index + 1, `What ${migration.name} did to the data`);
    ups.push({ migration, up, contents: since });
  }
  const delta = await run.step(
    'What changed in its schema?',
    (act) => act.diffSchema({ database: clone, id: looks.idOf(0) }),
    { describe: (found) => `${touched(found).length} objects` },
  );
  await run.verify(
    'Invariants on the clone',
    (act) => act.checkInvariants({ database: clone }),
    invariantsHold,
  );
  const additions = await countAdditions(run, clone, delta);

  const backs = pending.map(unrehearsed);
  const leftovers: string[] = [];
  const spoilt = new Set<string>();
  for (let index = pending.length - 1; index > lastWithoutDown; index -= 1) {
    const migration = pending[index]!;
    await applyTo(run, diagnosis, { ...on, migration, direction: 'down', undo: 'disposable' });
    await run.verify(
      `The down script of ${migration.name} leads back`,
      (act) => act.diffSchema({ database: clone, id: looks.idOf(index) }),
      isAsBefore,
    );
    const saved = await looks.saveContents(
      `back-${index}`,
      `What going back from ${migration.name} left`,
      index,
    );
    backs[index] = backOf({ up: ups[index]!.contents, down: saved.since, both: saved.sinceStart }, spoilt);
    if (saved.sinceStart.gained.length > 0)
      leftovers.push(`the down script of ${migration.name} leaves ${saved.sinceStart.gained.join(', ')}`);
  }
  const migrations = ups.map((one, index) => ({ ...one, back: backs[index]! }));
  return {
    migrations,
    delta,
    deltaDigest: digestOf(delta),
    additions,
    appliedBefore,
    warnings: [...migrations.flatMap(warningsOf), ...leftovers],
  };
}

/** What an earlier run has left half-way: its down script leads back to before that run. */
function wasBegun({ hazards }: Migration): boolean {
  return hazards.some(({ rule }) => rule === 'unfinished');
}

function unrehearsed(migration: Migration): Back {
  if (migration.downSha256 === null) return { kind: 'restore', why: 'it has no down script' };
  const why = wasBegun(migration)
    ? 'it was applied in part before this run, and its down script takes that back too'
    : 'a later migration cannot be undone';
  return { kind: 'unrehearsed', why };
}

/** An empty delta, but for the order of columns: one that was dropped can only come back as the last. */
export function isAsBefore(delta: SchemaDelta): Verdict {
  const [left, reordered] = [touched(delta).filter((name) => !isOrder(name)), touched(delta).filter(isOrder)];
  if (left.length === 0)
    return { ok: true, detail: ['the schema is as before', ...reordered].join(', but for the ') };
  return { ok: false, detail: `differs in ${left.slice(0, 10).join(', ')}` };
}

/** Rows and values in what the migrations have added, where it is there. */
export function countAdditions(run: Run, database: DatabaseRef, { added }: SchemaDelta): Promise<Additions> {
  const objects = Object.keys(added).filter((identity) => /^(table|column) /.test(identity));
  return run.step('What is in what was added?', (act) => act.countAdditions({ database, objects }), {
    kind: 'long',
    undo: 'read-only',
    describe: (counts) =>
      `${Object.values(counts).filter((held) => held?.count !== 0).length} of ${objects.length} hold something`,
  });
}

/** What a migration takes away, and nothing that it has gives back. */
export function lostForGood({ migrations }: Rehearsal): Rehearsed[] {
  return migrations.filter(({ contents, back }) => !isLossless(contents) && back.kind !== 'down');
}

/** What a migration and its down script did, each by itself and, with those of later migrations in between, together. */
interface ThereAndBack {
  up: ContentsDelta;
  down: ContentsDelta;
  both: ContentsDelta;
}

/** `spoilt`: where later ones have lost something, and so hide what this one did there. What it loses itself is added. */
export function backOf({ up, down, both }: ThereAndBack, spoilt: Set<string>): Back {
  const own = both.lost.filter((one) => !spoilt.has(tableIn(one)));
  const written = down.lost.filter(({ kind }) => kind !== 'table' && kind !== 'column');
  const touched = (table: string) =>
    [...up.lost, ...written].map(tableIn).some((one) => one === table || one.startsWith(`${table}.`));
  const more = both.more + up.more + down.more > 0;
  const hidden = [...new Set(both.lost.map(tableIn))].filter(
    (table) => spoilt.has(table) && (more || touched(table)),
  );
  for (const one of own) spoilt.add(tableIn(one));
  if (own.length > 0)
    return {
      kind: 'restore',
      why: `its down script does not bring back ${describeLosses({ lost: own, more: both.more })}`,
    };
  if (hidden.length > 0)
    return {
      kind: 'unrehearsed',
      why: `what a later one loses of ${hidden.join(', ')} hides what this one does`,
    };
  return { kind: 'down', writes: down.more > 0 || written.length > 0 };
}

/** Of `schema.table (columns)`; a column, a sequence, and large objects stand for themselves. */
function tableIn({ kind, what }: Lost): string {
  return kind === 'large objects' ? kind : what.split(' (')[0]!;
}

function warningsOf({ migration: { name, downSha256 }, contents, back }: Rehearsed): string[] {
  const taken = isLossless(contents) ? '' : `${name} takes away ${describeLosses(contents)}`;
  if (taken !== '' && back.kind === 'down') return [`${taken}; its down script gives that back`];
  const loss = taken === '' ? [] : [taken];
  if (back.kind === 'unrehearsed') return [...loss, `${name}: its way back was not rehearsed: ${back.why}`];
  // That there is no down script was said before.
  return back.kind === 'restore' && downSha256 !== null ? [...loss, `${name}: ${back.why}`] : loss;
}

/** Remembers, in the clone itself, what it was like at each turn. */
function looksAt(run: Run, { database, fence }: Target) {
  const idOf = (turn: number | string) => (turn === 0 ? nameForRun() : `${nameForRun()}-${turn}`);
  let previous: string | null = null;
  return {
    idOf,
    saveSchema: (turn: number) =>
      run.step(
        turn === 0 ? 'Save the schema of the clone' : `Save its schema before ${turn + 1}`,
        (act) => act.saveSchema({ database, id: idOf(turn), fence }),
        { describe: ({ objects, digest: found }) => `${objects} objects, ${found.slice(0, 12)}` },
      ),
    saveContents: async (turn: number | string, title: string, start?: number) => {
      const id = idOf(turn);
      const saved = await run.step(
        title,
        (act) =>
          act.saveContents({
            database,
            id,
            previous,
            ...(start === undefined ? {} : { start: idOf(start) }),
            fence,
          }),
        {
          kind: 'long',
          undo: 'read-only',
          describe: ({ tables, rows, since }) => describeSaved(tables, rows, since),
        },
      );
      previous = id;
      return saved;
    },
  };
}

function describeSaved(tables: number, rows: number, since: ContentsDelta): string {
  const became = [
    ...(isLossless(since) ? [] : [`lost: ${describeLosses(since)}`]),
    ...(since.gained.length === 0 ? [] : [`new: ${since.gained.join(', ')}`]),
  ];
  return [`${rows} rows in ${tables} tables`, ...became].join('; ');
}

/** In the shape of a plan's facts, as approvals in stored histories have it. */
function digestOf(delta: SchemaDelta): string {
  return digest({ actions: [], warnings: [], facts: { delta: JSON.stringify(delta) } });
}

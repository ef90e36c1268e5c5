import type { PlanDraft } from '../kit';
import { bytes, countOf, duration, type Run, type Verdict, type WayBack } from '../kit';
import type { Fence, Place } from '../../contract/place';
import { targetOf } from '../../contract/place';
import type { IndexChange, IndexProof, IndexReview, PlannedCost } from '../../contract/tuning';
import { verifyHealth, verifySmoke } from './checks';
import { newestOf, describeAge } from './choose-backup';
import { listBackups, obtainBackup } from './obtain-backup';
import { onScratchCopy } from './scratch-copy';

/** What may be done to the indexes, after it was tried. */
export interface IndexPlan {
  changes: IndexChange[];
  warnings: string[];
}

const isTried = ({ needless }: IndexChange): boolean => needless !== true;

/**
 * Tries what needs a proof on a copy restored from the newest backup. Without a backup nothing of it is done: the
 * statements are in the warnings, for a person who knows better.
 */
export async function tryOnCopy(run: Run, place: Place, review: IndexReview): Promise<IndexPlan> {
  const plain = review.changes.filter((one) => !isTried(one));
  const tried = review.changes.filter(isTried);
  if (tried.length === 0) return { changes: plain, warnings: [] };
  const backup = newestOf(await listBackups(run, place, 'latest'));
  if (backup === undefined) {
    const untried = tried.map((one) => `not tried, and so not done: ${statementOf(one)} (${one.why})`);
    const why = `there is no backup of ${targetOf(place)} to try an index on: run backUpDatabase, then start again`;
    return { changes: plain, warnings: [why, ...untried] };
  }
  await obtainBackup(run, backup);
  const { changes, witnesses, settings, planner } = review;
  const proof = await onScratchCopy(run, place, backup.backupId, ({ database }) =>
    run.step(
      'Try the indexes on the copy',
      (act) => act.proveIndexes({ database, changes, witnesses, settings, planner }),
      { kind: 'long', undo: 'read-only', describe: describeProof },
    ),
  );
  const verdicts = new Map(proof.proven.map((one) => [one.index, one]));
  for (const { index, ok, detail } of proof.proven)
    run.note(ok ? `${index} holds` : `${index} is left as it is`, detail);
  const held = tried.flatMap((one) => {
    const verdict = verdicts.get(one.index);
    return verdict?.ok === true ? [{ ...one, why: `${one.why}; on the copy: ${verdict.detail}` }] : [];
  });
  const left = proof.unplanned.map(
    (one) => `not planned on the copy, so nobody knows what becomes of it: statement ${one}`,
  );
  const seen =
    held.length === 0
      ? []
      : [`tried on a copy from ${describeAge(backup)}: planned costs, not measured times`];
  return { changes: [...plain, ...held], warnings: [...seen, ...left] };
}

function describeProof({ proven, unplanned, durationMs }: IndexProof): string {
  const good = proven.filter(({ ok }) => ok).length;
  const left =
    unplanned.length === 0 ? '' : `; ${countOf(unplanned.length, 'statement')} could not be planned`;
  return `${good} of ${proven.length} hold${left}; in ${duration(durationMs)}`;
}

/** The statement for a person, as it would be sent. */
function statementOf({ kind, index, definition }: IndexChange): string {
  if (kind === 'drop') return `DROP INDEX CONCURRENTLY ${index};`;
  return `${definition.replace(/^CREATE (UNIQUE )?INDEX /, 'CREATE $1INDEX CONCURRENTLY ')};`;
}

export function draftOf(
  place: Place,
  review: IndexReview,
  { changes, warnings }: IndexPlan,
  unchecked: string[],
): PlanDraft {
  const target = targetOf(place);
  return {
    actions: changes.map((one) => ({
      action: one.kind === 'create' ? 'create an index' : 'drop an index',
      target,
      detail: `${statementOf(one)} ${one.why}${one.kind === 'drop' ? `; ${bytes(one.bytes)}` : ''}`,
    })),
    warnings: [...warnings, ...review.warnings, ...unchecked],
    facts: { database: review.database },
  };
}

/** One after the other, each with its way back; then the plans of the live server must be as good as those of the copy. */
export async function changeIndexes(
  run: Run,
  place: Place,
  review: IndexReview,
  changes: IndexChange[],
  fence: Fence,
): Promise<void> {
  const concerned = new Set(changes.map(({ table }) => table));
  const statements = review.witnesses.filter(({ tables }) => tables.some((one) => concerned.has(one)));
  const plans = (title: string) =>
    run.step(title, (act) => act.planStatements({ ...place, statements }), {
      describe: (costs) => countOf(costs.length, 'statement'),
    });
  const before = statements.length === 0 ? [] : await plans('Look at the plans as they are');
  if (before.length === 0)
    run.note(
      'Not compared',
      'no statement of these tables can be planned here: nobody knows what becomes of them',
    );
  // Twice, because an attempt waits for the one before it.
  const to = { run, place, fence, permittedMs: 2 * review.settings.buildTimeoutMinutes * 60_000 };
  // What is new is there before anything goes.
  for (const change of changes.filter(({ kind }) => kind === 'create')) await create(to, change);
  for (const change of changes.filter(({ kind }) => kind === 'drop')) await drop(to, change);
  if (before.length > 0)
    await run.verify(
      'The plans are as good as on the copy',
      (act) => act.planStatements({ ...place, statements }),
      (after) => judge(changes, statements.length, before, after, review.settings),
    );
  await verifyHealth(run, place);
  await verifySmoke(run, place);
}

interface Changing {
  run: Run;
  place: Place;
  fence: Fence;
  /** What the configuration permits one change to take. */
  permittedMs: number;
}

async function create(to: Changing, change: IndexChange): Promise<void> {
  const title = `Create ${change.index}`;
  const again = `Drop ${change.index} again`;
  const back = () => remove(to, change, { takesBack: title }, { title: again, ours: true });
  await build(to, change, { title: again, back }, { title, again: false });
}

async function drop(to: Changing, change: IndexChange): Promise<void> {
  const title = `Drop ${change.index}`;
  const again = `Create ${change.index} again`;
  // An invalid one is worth nothing, and made again it would be a valid one.
  const undo: WayBack = change.invalid
    ? { harmless: `the invalid ${change.index} is gone` }
    : { title: again, back: () => build(to, change, { takesBack: title }, { title: again, again: true }) };
  await remove(to, change, undo, { title, ours: false });
}

function build(
  { run, place, fence, permittedMs }: Changing,
  change: IndexChange,
  undo: WayBack,
  { title, again }: { title: string; again: boolean },
) {
  return run.step(title, (act) => act.buildIndex({ ...place, change, fence, again }), {
    kind: 'mutate',
    undo,
    permittedMs,
    describe: ({ changed, why, bytes: size, durationMs }) =>
      changed ? `${bytes(size)} in ${duration(durationMs)}` : (why ?? 'it is there already'),
  });
}

function remove(
  { run, place, fence, permittedMs }: Changing,
  change: IndexChange,
  undo: WayBack,
  { title, ours }: { title: string; ours: boolean },
) {
  return run.step(title, (act) => act.dropIndex({ ...place, change, fence, ours }), {
    kind: 'mutate',
    undo,
    permittedMs,
    describe: ({ changed, why, bytes: size }) =>
      changed ? `${bytes(size)} are free` : (why ?? 'it is gone already'),
  });
}

/** Every new index must help, and nothing may cost more than before. */
function judge(
  changes: IndexChange[],
  known: number,
  before: PlannedCost[],
  after: PlannedCost[],
  { minGain, maxLoss }: IndexReview['settings'],
): Verdict {
  const costs = before.flatMap(({ id, cost }) => {
    const now = after.find((one) => one.id === id)?.cost;
    return now === undefined ? [] : [{ id, before: cost, after: now }];
  });
  const worse = costs.filter((one) => one.after > one.before * (1 + maxLoss)).map(({ id }) => id);
  const idle = changes.filter(
    ({ kind, helps }) =>
      kind === 'create' &&
      !costs.some((one) => helps.includes(one.id) && one.after <= one.before * (1 - minGain)),
  );
  const sum = (of: 'before' | 'after') => Math.round(costs.reduce((total, one) => total + one[of], 0));
  const told = `the plans of ${countOf(costs.length, 'statement')} cost ${sum('after')} instead of ${sum('before')}`;
  const left = known - costs.length;
  const wrong = [
    ...(worse.length > 0 ? [`more than before: ${worse.join(', ')}`] : []),
    ...idle.map(({ index }) => `${index} is of no use here`),
  ];
  const unseen = left > 0 ? [`warning: nobody knows of ${countOf(left, 'other statement')}`] : [];
  return { ok: wrong.length === 0, detail: [told, ...unseen, ...wrong].join('; ') };
}

/** What people have to look at: lines of the report, and one message, because nobody reads a report that went well. */
export async function tellFindings(run: Run, place: Place, findings: string[]): Promise<void> {
  for (const finding of findings) run.note('For people to look at', finding);
  if (findings.length === 0 || run.policy.mode === 'observe') return;
  const first = findings.slice(0, MAX_TOLD).map((one) => `- ${one}`);
  const more = findings.length - first.length;
  const rest = more > 0 ? [`and ${more} more: \`runbooks report ${run.id}\``] : [];
  await run.announce([`For people to look at on ${targetOf(place)}:`, ...first, ...rest].join('\n'));
}

const MAX_TOLD = 3;

/** Ends a run in which nothing stood the trial; what could not be tried is told. */
export function nothingHolds(run: Run, place: Place, { warnings }: IndexPlan): never {
  for (const warning of warnings) run.note('Not done', warning);
  return run.nothingToDo(
    `no change of the indexes of ${targetOf(place)} could be shown to help; the report says which, and why`,
  );
}

/** The facts and the summary of what was done. */
export function describeChanges(run: Run, place: Place, changes: IndexChange[]): string {
  const created = changes.filter(({ kind }) => kind === 'create');
  const dropped = changes.filter(({ kind }) => kind === 'drop');
  run.fact('indexesCreated', created.length);
  run.fact('indexesDropped', dropped.length);
  run.fact(
    'indexBytesFreed',
    dropped.reduce((sum, one) => sum + one.bytes, 0),
  );
  const names = (of: IndexChange[]) => of.map(({ index }) => index).join(', ');
  const done = [
    ...(created.length > 0 ? [`created ${names(created)}`] : []),
    ...(dropped.length > 0 ? [`dropped ${names(dropped)}`] : []),
  ];
  return `${targetOf(place)}: ${done.join('; ')}`;
}

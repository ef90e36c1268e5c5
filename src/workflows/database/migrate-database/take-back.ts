import { databaseIn, type Fence, type Place, targetOf } from '../../../contract/place';
import type { Migration } from '../../../contract/migration';
import type { Run, Undo } from '../../kit';
import type { LiveState } from '../../../contract/database';
import { describeLive, lossText, readLoss, type Loss } from '../loss';
import { describeReplication } from '../replication';
import { takeOver } from '../take-over';
import { appliedAmong, applyTitle, applyTo, type Target } from './apply';
import type { Diagnosis } from './diagnose';
import { countAdditions, type Rehearsal, type Rehearsed } from './rehearse';

interface Applied {
  place: Place;
  migrations: Migration[];
  /** Taken before the first of them; undefined where each can be taken back without. */
  backupId: string | undefined;
  fence: Fence;
  /** Of the names of copies; production has none. */
  suffix?: string;
}

export interface TakingBack {
  /** The way back of one of them: whichever comes first takes all back that were applied. */
  of(migration: Migration): Undo;
  /** Whether that was done by a restore. */
  restored(): boolean;
}

/**
 * Takes back what was applied of several migrations at once, so that people are asked once: nothing where nothing was
 * applied, the down scripts where the clone has shown that they give everything back, else a restore.
 */
export function takingBack(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  applied: Applied,
): TakingBack {
  const { place, fence } = applied;
  const on: Target = { database: databaseIn(place), fence, where: targetOf(place) };
  let way: 'restored' | 'down' | undefined;
  const back = async () => {
    if (way !== undefined) return;
    way = await takeBack(run, diagnosis, rehearsal, { ...applied, on });
  };
  return {
    of: ({ name }) => ({ title: `Take ${name} back from ${on.where}`, back }),
    restored: () => way === 'restored',
  };
}

async function takeBack(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  applied: Applying,
): Promise<'restored' | 'down'> {
  const there = await appliedAmong(run, applied.migrations, applied.on);
  try {
    return await takeAllBack(run, diagnosis, rehearsal, { ...applied, there });
  } catch (error) {
    if (there.length > 0) noteLedger(run, applied.on.where, there);
    throw error;
  }
}

/** Whoever takes back by hand what is left has to say so where the next run looks. */
function noteLedger(run: Run, where: string, there: Migration[]): void {
  const names = there.map(({ name }) => `'${name.replaceAll("'", "''")}'`).join(', ');
  run.note(
    `The ledger of ${where} still has ${there.length > 1 ? 'them' : 'it'}`,
    `By it the next run will take for applied what was not taken back. After doing that by hand: DELETE FROM durable_runbooks.ledger WHERE migration IN (${names})`,
  );
}

async function takeAllBack(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  applied: Applying & { there: Migration[] },
): Promise<'restored' | 'down'> {
  const { there, on } = applied;
  const backs = there.map(({ name }) => rehearsedAs(rehearsal, name));
  if (backs.some(({ back }) => back.kind === 'restore')) {
    await restore(run, applied, await askForRestore(run, applied, backs));
    return 'restored';
  }
  if (backs.some(({ back }) => back.kind === 'unrehearsed')) {
    const planned = await askWhich(run, applied, backs);
    if (planned !== undefined) {
      await restore(run, applied, planned);
      return 'restored';
    }
  } else await askWhatGoes(run, rehearsal, applied, backs);
  for (const migration of [...there].reverse()) {
    const undo = { takesBack: applyTitle(migration.name, on.where) };
    await applyTo(run, diagnosis, { ...on, migration, direction: 'down', undo });
  }
  return 'down';
}

type Applying = Applied & { on: Target };

/** Nobody has seen what the down scripts do: a person chooses between them and a restore, which is what is returned then. */
async function askWhich(run: Run, applied: Applying, backs: Rehearsed[]): Promise<Restore | undefined> {
  const planned = await planRestore(run, applied, backs);
  const scripts = scriptsOf(backs);
  const choice = await run.ask(
    `${namesOf(backs)} must go back from ${applied.on.where}, and not every down script could be rehearsed. ${planned.what}. Which way?`,
    [`run ${scripts}`, 'restore', { harmless: 'leave it to me' }],
  );
  if (choice === 'leave it to me') return leave(run, applied, backs);
  return choice === 'restore' ? planned : undefined;
}

/** Down scripts that give everything back need no question, but where they take what was written since. */
async function askWhatGoes(
  run: Run,
  rehearsal: Rehearsal,
  applied: Applying,
  backs: Rehearsed[],
): Promise<void> {
  const takes = await writtenSince(run, rehearsal, backs, applied.on);
  if (takes.length === 0) return;
  const [take, them] = backs.length > 1 ? ['take', 'them'] : ['takes', 'it'];
  const scripts = scriptsOf(backs);
  const choice = await run.ask(
    `${namesOf(backs)} must go back from ${applied.on.where}, and ${scripts} ${take} with ${them} ${takes.join(', ')}. Run ${them}?`,
    [`run ${scripts}`, { harmless: 'leave it to me' }],
  );
  if (choice === 'leave it to me') leave(run, applied, backs);
}

function namesOf(backs: Rehearsed[]): string {
  return backs.map(({ migration }) => migration.name).join(', ');
}

function scriptsOf(backs: Rehearsed[]): string {
  return backs.length > 1 ? 'the down scripts' : 'the down script';
}

function leave(run: Run, { on, backupId }: Applying, backs: Rehearsed[]): never {
  const backup = backupId === undefined ? '' : `; its backup is ${backupId}`;
  return run.needsHuman(
    `${namesOf(backs)} ${backs.length > 1 ? 'stay' : 'stays'} on ${on.where}, as decided${backup}`,
  );
}

/** What going back takes of what people have written meanwhile. */
async function writtenSince(
  run: Run,
  { delta, additions }: Rehearsal,
  backs: Rehearsed[],
  { database }: Target,
): Promise<string[]> {
  if (backs.length === 0) return [];
  const rows = backs
    .filter(({ back }) => back.kind === 'down' && back.writes)
    .map(({ migration }) => `rows that ${migration.name} changed, and may have been written since`);
  const now = await countAdditions(run, database, delta);
  const grown = Object.entries(now).flatMap(([what, held]) => {
    const rehearsed = additions[what];
    if (held === null) return [`whatever is in ${what}`];
    const { count, digest } = held;
    const more = count - (rehearsed?.count ?? 0);
    if (more > 0) return [`${count} in ${what}, ${more} of them more than on the clone`];
    return count === 0 || digest === rehearsed?.digest
      ? []
      : [`${count} in ${what}, others than on the clone`];
  });
  return [...rows, ...grown];
}

function rehearsedAs({ migrations }: Rehearsal, name: string): Rehearsed {
  return migrations.find(({ migration }) => migration.name === name)!;
}

function reasonsOf(backs: Rehearsed[]): string {
  return backs
    .flatMap(({ migration, back }) => (back.kind === 'restore' ? [`${migration.name}: ${back.why}`] : []))
    .join('; ');
}

interface Restore {
  backupId: string;
  live: LiveState;
  loss: Loss;
  /** What it does, as a sentence without its end. */
  what: string;
}

async function planRestore(
  run: Run,
  { place, backupId, on: { where } }: Applying,
  backs: Rehearsed[],
): Promise<Restore> {
  if (backupId === undefined) {
    const stay = backs.length > 1 ? 'stay' : 'stays';
    return run.needsHuman(`${namesOf(backs)} ${stay} on ${where}: there is no backup to restore`);
  }
  const live = await run.step(`Look at what there is of ${where}`, (act) => act.inspectLive(place), {
    kind: 'long',
    undo: 'read-only',
    describe: describeLive,
  });
  const loss = await readLoss(run, place, live, backupId);
  const moved = live.replication === undefined ? undefined : describeReplication(live.replication);
  const what = `Restoring ${where} from ${backupId} ${lossText(loss, loss.lost?.since)}${moved === undefined ? '' : `; ${moved}`}`;
  return { backupId, live, loss, what };
}

async function askForRestore(run: Run, applied: Applying, backs: Rehearsed[]): Promise<Restore> {
  const planned = await planRestore(run, applied, backs);
  const choice = await run.ask(`${reasonsOf(backs)}. ${planned.what}. Restore?`, [
    'restore',
    { harmless: 'leave it to me' },
  ]);
  return choice === 'restore' ? planned : leave(run, applied, backs);
}

async function restore(
  run: Run,
  { place, fence, on, suffix = '' }: Applying,
  { backupId, live, loss }: Restore,
): Promise<void> {
  // The loss was estimated before the writes stopped, so even none is not for sure.
  const loses = `${on.where} was restored from ${backupId}; writes since then are lost`;
  await takeOver(run, place, { backupId, fence, live, loss, loses, suffix });
}

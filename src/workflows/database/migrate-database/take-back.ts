import { databaseIn, type Fence, type Place, targetOf } from '../../../contract/place';
import type { Migration } from '../../../contract/migration';
import type { Run, Undo } from '../../kit';
import { describeLive, lossText, readLoss } from '../loss';
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
  applied: Applied & { on: Target },
): Promise<'restored' | 'down'> {
  const { migrations, on } = applied;
  const there = await appliedAmong(run, migrations, on);
  const backs = there.map(({ name }) => rehearsedAs(rehearsal, name));
  const choice = await chooseWay(run, rehearsal, backs, applied);
  if (choice === 'restore') {
    await restoreInstead(run, applied, backs);
    return 'restored';
  }
  for (const migration of [...there].reverse()) {
    const undo = { takesBack: applyTitle(migration.name, on.where) };
    await applyTo(run, diagnosis, { ...on, migration, direction: 'down', undo });
  }
  return 'down';
}

/** The least destructive way that gives everything back. Asks where it takes something that was written since. */
async function chooseWay(
  run: Run,
  rehearsal: Rehearsal,
  backs: Rehearsed[],
  { on, backupId }: Applied & { on: Target },
): Promise<'restore' | 'down'> {
  if (backs.some(({ back }) => back.kind === 'restore')) return 'restore';
  const names = backs.map(({ migration }) => migration.name).join(', ');
  const plural = backs.length > 1;
  const scripts = plural ? 'the down scripts' : 'the down script';
  const leave = () =>
    run.needsHuman(
      `${names} ${plural ? 'stay' : 'stays'} on ${on.where}, as decided${backupId === undefined ? '' : `; its backup is ${backupId}`}`,
    );
  if (backs.some(({ back }) => back.kind === 'unrehearsed')) {
    const choice = await run.ask(
      `${names} must go back from ${on.where}, and not every down script could be rehearsed. A restore loses what was written since the backup ${backupId ?? ''}.`,
      [`run ${scripts}`, 'restore', 'leave it to me'],
    );
    if (choice === 'leave it to me') return leave();
    return choice === 'restore' ? 'restore' : 'down';
  }
  const takes = await writtenSince(run, rehearsal, backs, on);
  if (takes.length === 0) return 'down';
  const choice = await run.ask(
    `${names} must go back from ${on.where}, and ${scripts} ${plural ? 'take' : 'takes'} with ${plural ? 'them' : 'it'} ${takes.join(', ')}. Run ${plural ? 'them' : 'it'}?`,
    [`run ${scripts}`, 'leave it to me'],
  );
  return choice === 'leave it to me' ? leave() : 'down';
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
  const grown = Object.entries(now).flatMap(([what, count]) => {
    const rehearsed = additions[what] ?? 0;
    if (count === null) return [`whatever is in ${what}`];
    return count > rehearsed
      ? [`${count} in ${what}, ${count - rehearsed} of them more than on the clone`]
      : [];
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

async function restoreInstead(
  run: Run,
  { place, backupId, fence, suffix = '' }: Applied,
  backs: Rehearsed[],
): Promise<void> {
  const where = targetOf(place);
  const stay = `${backs.map(({ migration }) => migration.name).join(', ')} ${backs.length > 1 ? 'stay' : 'stays'} on ${where}`;
  if (backupId === undefined) return run.needsHuman(`${stay}: there is no backup to restore`);
  const live = await run.step(`Look at what there is of ${where}`, (act) => act.inspectLive(place), {
    kind: 'long',
    undo: 'read-only',
    describe: describeLive,
  });
  const loss = await readLoss(run, place, live, backupId);
  const moved = live.replication === undefined ? undefined : describeReplication(live.replication);
  const reasons = reasonsOf(backs);
  const why = reasons === '' ? '' : `${reasons}. `;
  const choice = await run.ask(
    `${why}Restoring ${where} from ${backupId} ${lossText(loss, loss.lost?.since)}${moved === undefined ? '' : `; ${moved}`}. Restore?`,
    ['restore', 'leave it to me'],
  );
  if (choice !== 'restore') run.needsHuman(`${stay}, as decided; its backup is ${backupId}`);
  // The loss was estimated before the writes stopped, so even none is not for sure.
  const loses = `${where} was restored from ${backupId}; writes since then are lost`;
  await takeOver(run, place, { backupId, fence, live, loss, loses, suffix });
}

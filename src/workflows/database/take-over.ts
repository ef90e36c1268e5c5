import { duration, type Run } from '../kit';
import { takeBackup } from './take-backup';
import { databaseIn, nameForRun } from './names';
import { verifyHealth } from './checks';
import { describeRestore, validateCopy } from './scratch-copy';
import { type Fence, type Place, targetOf } from '../../contract/place';

export interface TakeOver {
  backupId: string;
  fence: Fence;
  /** Of a restore that is itself a way back: what nothing brings back once the copy is live. */
  loses?: string;
}

/**
 * Puts a backup in place of the live database: stop writes, safety backup, restore beside on the durable server,
 * validate, swap, switch traffic, resume. Every step back is registered before its step; once the copy is live,
 * going back would lose the writes made since and so asks.
 */
export async function takeOver(run: Run, place: Place, { backupId, fence, loses }: TakeOver): Promise<void> {
  const target = targetOf(place);
  const name = nameForRun().replace(/-/g, '_');
  const restored = `restored_${name}`;
  const previous = `previous_${name}`;
  const beside = databaseIn(place, restored);
  const startedAt = Date.now();

  await run.step('Stop writes', (act) => act.runServiceCommand({ ...place, command: 'stopWrites' }), {
    kind: 'long',
    describe: ({ detail }) => detail,
    undo: {
      title: 'Resume writes',
      back: () =>
        run.step('Resume writes', (act) => act.runServiceCommand({ ...place, command: 'resumeWrites' }), {
          kind: 'long',
          undo: { takesBack: 'Stop writes' },
        }),
    },
  });
  // Of what is there now: whatever comes of the restore, this is not lost.
  const safety = await takeBackup(run, place, `${nameForRun()}-before`, fence);
  run.fact('safetyBackup', safety.backupId);
  await run.step(
    'Restore beside it',
    (act) => act.restoreBackup({ ...place, backupId, into: beside, fence }),
    {
      kind: 'long',
      describe: describeRestore,
      undo: {
        title: 'Drop the restored copy',
        back: () =>
          run.step('Drop the restored copy', (act) => act.dropRestored({ database: beside, fence }), {
            kind: 'mutate',
            undo: { takesBack: 'Restore beside it' },
          }),
      },
    },
  );
  await validateCopy(run, place, backupId, beside);

  await run.step('Swap', (act) => act.swapDatabases({ ...place, restored, previous, fence }), {
    kind: 'mutate',
    describe: ({ durationMs }) => `the former database is kept as ${previous} (${duration(durationMs)})`,
    undo:
      loses === undefined
        ? { title: 'Swap back', back: () => swapBack(run, place, { restored, previous, fence }) }
        : { irreversible: loses },
  });
  await run.step('Switch traffic', (act) => act.runServiceCommand({ ...place, command: 'switchTraffic' }), {
    kind: 'long',
    undo: { coveredBy: 'Swap back' },
    describe: ({ detail }) => detail,
  });
  await run.step('Resume writes', (act) => act.runServiceCommand({ ...place, command: 'resumeWrites' }), {
    kind: 'long',
    undo: { takesBack: 'Stop writes' },
    describe: ({ detail }) => detail,
  });
  await verifyHealth(run, place);
  run.fact('rtoSeconds', (Date.now() - startedAt) / 1_000);
  run.fact('formerDatabase', previous);
  run.note(
    'The former database is kept',
    `${previous} on the server of ${target}. Drop it by hand when nobody needs the way back.`,
  );
}

/** After the swap people may have written to the copy: only a person can decide that these writes may go. */
async function swapBack(
  run: Run,
  place: Place,
  names: { restored: string; previous: string; fence: Fence },
): Promise<void> {
  const { swapped, sessions } = await run.step('Is the copy live?', (act) =>
    act.readSwapState({ ...place, ...names }),
  );
  if (!swapped) return;
  const choice = await run.ask(
    `${names.restored} is live in ${targetOf(place)} with ${sessions} sessions. Swapping back loses every write made to it since. Swap back?`,
    ['swap back', 'keep it'],
  );
  if (choice !== 'swap back')
    run.needsHuman(`${names.restored} stays live in ${targetOf(place)}, as decided`);
  await run.step('Swap back', (act) => act.swapBack({ ...place, ...names }), {
    kind: 'mutate',
    undo: { takesBack: 'Swap' },
  });
  await run.step('Switch traffic', (act) => act.runServiceCommand({ ...place, command: 'switchTraffic' }), {
    kind: 'long',
    undo: { takesBack: 'Switch traffic' },
  });
}

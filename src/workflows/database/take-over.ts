import { causeOf, duration, verificationFailed, type Run } from '../kit';
import { saveWhatIsThere } from './take-backup';
import { nameForRun } from './names';
import { verifyHealth } from './checks';
import { decideOnLoss, grewPast, lossText, readLoss, type Loss } from './loss';
import { leaveReplicationTask } from './replication';
import { describeRestore, recordProof, validateCopy } from './scratch-copy';
import { writersOf, type Writers } from './writers';
import type { LiveState } from '../../contract/database';
import { databaseIn, type Fence, type Place, targetOf } from '../../contract/place';
import { capitalised } from '../../contract/text';

export interface TakeOver {
  backupId: string;
  fence: Fence;
  live: LiveState;
  /** What people were told that it loses. */
  loss: Loss;
  /** Of a restore that is itself a way back: what nothing brings back once the copy is live. */
  loses?: string;
  /** False where whoever started the run looks at the application: it may be broken by itself. Default true. */
  judgeHealth?: boolean;
  /** Sets its copies apart from those of another database that the same run replaces. */
  suffix?: string;
}

/**
 * Puts a backup in place of the live database, or of what is left of it: stop writes, safety backup, restore beside on the
 * durable server, validate, swap, switch traffic, resume. Every step back is registered before its step; once the copy is
 * live, going back would lose the writes made since and so asks. Returns what is lost, as read when nobody wrote any more.
 */
export async function takeOver(run: Run, place: Place, takeover: TakeOver): Promise<Loss> {
  const { fence, loses } = takeover;
  const fact = factsOf(run, place, takeover.suffix);
  // A way back has looked a moment ago, under the same lease.
  const live = loses === undefined ? await lookAgain(run, place, takeover.live) : takeover.live;
  const readable = live.condition === 'there' && live.registered;
  const writable = live.condition === 'there' || live.condition === 'unreadable';
  const writers = writersOf(run, { place, fence, live });
  const startedAt = Date.now();
  const waitedBeforeMs = run.waitedForAnswersMs();
  try {
    if (writable) {
      await writers.stop();
      await writers.verifyStopped();
    }
    const loss = readable ? await confirmLoss(run, place, takeover) : takeover.loss;
    await replace(run, place, { ...takeover, live }, { readable, writers });
    const tookMs = Date.now() - startedAt;
    fact('rtoSeconds', tookMs / 1_000);
    fact('rtoWithoutAnswersSeconds', (tookMs - (run.waitedForAnswersMs() - waitedBeforeMs)) / 1_000);
    return loss;
  } catch (error) {
    // A way back has none of its own, and writes must not stay stopped because nobody was asked.
    if (loses !== undefined) await offerToResume(run, writers, error);
    throw error;
  }
}

/** Where a run replaces another database beside the one that it is about, the figures of one are not those of the other. */
function factsOf(run: Run, { environment }: Place, suffix = ''): Run['fact'] {
  if (suffix === '') return (name, value) => run.fact(name, value);
  return (name, value) => run.fact(`${environment}${capitalised(name)}`, value);
}

/** People have decided on what was there before the lease was held: somebody else may have replaced it meanwhile. */
async function lookAgain(run: Run, place: Place, live: LiveState): Promise<LiveState> {
  const now = await run.step(
    'Look whether it is still what people decided on',
    (act) => act.inspectLive({ ...place, briefly: true }),
    { describe: ({ condition, oid }) => (oid === null ? condition : `${condition}, database ${oid}`) },
  );
  const same =
    now.oid === live.oid &&
    now.condition === live.condition &&
    now.systemIdentifier === live.systemIdentifier;
  if (!same)
    throw verificationFailed(
      `the live database of ${targetOf(place)} is another one than people decided on (${now.condition} ${now.oid ?? ''} instead of ${live.condition} ${live.oid ?? ''}): another run may have replaced it. Nothing was changed. Look at it, then start again.`,
    );
  return { ...live, readOnlySetting: now.readOnlySetting };
}

async function replace(
  run: Run,
  place: Place,
  { backupId, fence, live, loses, judgeHealth = true, suffix = '' }: TakeOver,
  { readable, writers }: { readable: boolean; writers: Writers },
): Promise<void> {
  const target = targetOf(place);
  const fact = factsOf(run, place, suffix);
  const name = `${nameForRun().replace(/-/g, '_')}${suffix}`;
  const beside = databaseIn(place, `restored_${name}`);
  const liveMissing = live.condition === 'missing';
  const names: Names = { restored: `restored_${name}`, previous: `previous_${name}`, liveMissing, fence };
  // Of what is there now: whatever comes of the restore, this is not lost.
  const safety = readable ? await saveWhatIsThere(run, place, { live, fence, fact }) : undefined;
  await run.step(
    'Restore beside it',
    (act) =>
      act.restoreBackup({
        ...place,
        backupId,
        into: beside,
        fence,
        ...(live.condition === 'there' ? {} : { withoutLive: true }),
      }),
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

  await run.step('Swap', (act) => act.swapDatabases({ ...place, ...names }), {
    kind: 'mutate',
    describe: ({ previous, durationMs }) =>
      previous === null
        ? `there was none to keep (${duration(durationMs)})`
        : `the former database is kept as ${previous} (${duration(durationMs)})`,
    undo:
      loses === undefined
        ? { title: 'Swap back', back: () => swapBack(run, place, names, { writers, live }) }
        : { irreversible: loses },
  });
  if (safety !== undefined) await carryOver(run, place, safety, { names, live, fact });
  await run.step('Switch traffic', (act) => act.runServiceCommand({ ...place, command: 'switchTraffic' }), {
    kind: 'long',
    undo: { coveredBy: 'Swap back' },
    describe: ({ detail }) => detail,
  });
  await writers.resume();
  // It was validated like that of a drill. Nobody is to be without the database for want of a mark.
  const proof = await run.attempt(() => recordProof(run, { ...place, backupId }));
  if (!proof.ok) run.note('The proof was not recorded', proof.why, { failed: true });
  if (judgeHealth) await verifyHealth(run, place);
  else run.note('The health of the application is not judged here', 'whoever started this run looks at it');
  await leaveReplicationTask(run, place, live, names.previous);
  if (liveMissing) return;
  fact('formerDatabase', names.previous);
  run.note(
    'The former database is kept',
    `${names.previous} on the server of ${target}, ${live.condition === 'closed' ? 'where it lets nobody in, as before' : 'read-only where no restore.stopWrites is configured'}. Drop it by hand when nobody needs the way back.`,
  );
}

/** Between the plan and now somebody may have written: more than people were told is for them to decide anew. */
async function confirmLoss(run: Run, place: Place, takeover: TakeOver): Promise<Loss> {
  const { live, backupId, loss: told, loses, suffix } = takeover;
  const fact = factsOf(run, place, suffix);
  const read = async (before: Loss): Promise<Loss> => {
    const now = await readLoss(run, place, live, backupId, before);
    if (now.lost !== null) fact('rowsLostAtMost', now.lost.rowsAtMost);
    return now;
  };
  const now = await read(told);
  if (!grewPast(told, now)) return now;
  const decided = await decideOnLoss(run, now, {
    question: (loss) =>
      `Nobody writes any more, and restoring ${backupId} in ${targetOf(place)} ${lossText(loss)}: more than was said before (${told.atMost}). Go on?`,
    read,
  });
  if (decided !== undefined) return decided;
  const why = 'decided not to lose these writes';
  return loses === undefined ? run.reject(why) : run.needsHuman(why);
}

interface Names {
  restored: string;
  previous: string;
  liveMissing: boolean;
  fence: Fence;
}

/** What was acknowledged after the safety backup is in the former database alone: counted, said, and its numbers are not given out again. */
async function carryOver(
  run: Run,
  place: Place,
  safety: string,
  { names: { previous }, live, fact }: { names: Names; live: LiveState; fact: Run['fact'] },
): Promise<void> {
  const unknown = live.unreadableTables === 0 ? '' : ' (not counted: the tables that cannot be read)';
  const late = await run.step(
    'What was written after the safety backup?',
    (act) => act.estimateLostWrites({ ...place, backupId: safety, database: previous }),
    {
      describe: (lost) =>
        lost === null || lost.rowsAtMost === 0
          ? `nothing${unknown}`
          : `at most ${lost.rowsAtMost} row changes, which are in ${previous} alone${unknown}`,
    },
  );
  const rows = late?.rowsAtMost ?? 0;
  fact('rowsOnlyInFormerDatabase', rows);
  if (late !== null)
    await run.step(
      'Carry the sequences on',
      (act) => act.carrySequences({ from: databaseIn(place, previous), into: databaseIn(place) }),
      {
        kind: 'mutate',
        undo: { coveredBy: 'Swap back' },
        describe: ({ moved, unreadable = [] }) =>
          [
            moved === 0 ? 'they stand where they should' : `${moved} moved on`,
            // The plan has said so.
            ...(unreadable.length > 0 ? [`not ${unreadable.join(', ')}, which cannot be read`] : []),
          ].join('; '),
      },
    );
  if (rows > 0)
    await run.announce(
      `${targetOf(place)}: at most ${rows} row changes were acknowledged after the safety backup ${safety}${unknown}. They are in the former database ${previous} alone, which is kept.`,
    );
}

async function offerToResume(run: Run, writers: Writers, error: unknown): Promise<void> {
  const stopped = await writers.areStopped();
  if (stopped === undefined) return;
  const choice = await run.ask(
    `${stopped}, and putting the backup in its place failed: ${causeOf(error).message} Resume writes to what is live now?`,
    ['resume writes', { harmless: 'keep them stopped' }],
  );
  if (choice === 'resume writes') await writers.resume();
}

/** After the swap people may have written to the copy: only a person can decide that these writes may go. */
async function swapBack(
  run: Run,
  place: Place,
  names: Names,
  { writers, live }: { writers: Writers; live: LiveState },
): Promise<void> {
  const { swapped, sessions } = await run.step('Is the copy live?', (act) =>
    act.readSwapState({ ...place, ...names }),
  );
  if (!swapped) return;
  const choice = await run.ask(
    `${names.restored} is live in ${targetOf(place)} with ${sessions} sessions. Swapping back loses every write made to it since${names.liveMissing ? ', and leaves no live database, as before' : ''}. Swap back?`,
    ['swap back', { harmless: 'keep it' }],
  );
  if (choice !== 'swap back') {
    await leaveReplicationTask(run, place, live, names.previous);
    run.needsHuman(`${names.restored} stays live in ${targetOf(place)}, as decided`);
  }
  await run.step('Swap back', (act) => act.swapBack({ ...place, ...names }), {
    kind: 'mutate',
    undo: { takesBack: 'Swap' },
  });
  await run.step('Switch traffic', (act) => act.runServiceCommand({ ...place, command: 'switchTraffic' }), {
    kind: 'long',
    undo: { takesBack: 'Switch traffic' },
  });
  // What is live again is what was closed; nothing that is still undone may keep it so.
  if (!names.liveMissing) await writers.resume();
}

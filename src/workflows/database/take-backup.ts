import type { BackupRef, BackupSummary } from '../../contract/backup';
import type { LiveState } from '../../contract/database';
import type { OnHost } from '../../contract/hosts';
import { databaseIn, type Fence, type Place, targetOf } from '../../contract/place';
import { bytes, causeOf, duration, verificationFailed, type Run } from '../kit';
import { nameForRun } from './names';

/** Writes the canary and takes a proven-complete backup under the lease. A database before its first migration `mayBeEmpty`. */
export async function takeBackup(
  run: Run,
  place: Place,
  backupId: string,
  fence: Fence,
  more: { mayBeEmpty?: true } = {},
): Promise<BackupSummary & OnHost> {
  const database = databaseIn(place);
  await run.step('Write the canary', (act) => act.writeCanary({ database, fence, id: backupId }), {
    kind: 'mutate',
    undo: { harmless: `a canary row in ${targetOf(place)}` },
  });
  return run.step(`Back up ${targetOf(place)}`, (act) => act.backUp({ ...place, backupId, fence, ...more }), {
    kind: 'long',
    undo: { harmless: `backup ${backupId}` },
    describe: describeBackup,
  });
}

/**
 * Copies a backup that was taken on the way to something else. Returns what to know where that failed: the backup on the
 * disk of its worker serves all the same.
 */
export async function copyOffsite(run: Run, ref: BackupRef): Promise<string | undefined> {
  const { ok, why } = await run.attempt(() =>
    run.step('Copy off site', (act) => act.uploadBackup(ref), {
      kind: 'long',
      undo: { harmless: `a copy of ${ref.backupId} off site` },
      describe: ({ detail }) => detail,
    }),
  );
  return ok ? undefined : `backup ${ref.backupId} lies on the disk of its worker alone: ${why}`;
}

/** Failures that say something about the data or the room for it; any other one is none of people's to decide. */
const CANNOT_BE_SAVED = ['BackupIncomplete', 'OutOfDisk'];

/**
 * Backs up what is about to be replaced, as far as it can be read, without writing to it. Where that fails, or more is
 * missing than the plan said, people decide. Returns its ID; undefined where there is none.
 */
export async function saveWhatIsThere(
  run: Run,
  place: Place,
  { live, fence, fact }: { live: LiveState; fence: Fence; fact: Run['fact'] },
): Promise<string | undefined> {
  const target = targetOf(place);
  const backupId = `${nameForRun()}-before`;
  let saved = false;
  const problem = await run
    .step(`Back up what is in ${target}`, (act) => act.backUp({ ...place, backupId, fence, safety: true }), {
      kind: 'long',
      undo: { harmless: `safety backup ${backupId}` },
      describe: describeBackup,
    })
    .then(
      ({ unsaved = [] }) => {
        saved = true;
        fact('safetyBackup', backupId);
        const said = new Set(live.unreadable.map(({ table }) => table));
        const more = unsaved.filter((what) => !said.has(what));
        return more.length === 0 ? undefined : `it lacks ${more.join(', ')}, which cannot be read`;
      },
      (error: unknown) => {
        const { type, message } = causeOf(error);
        if (!CANNOT_BE_SAVED.includes(type)) throw error;
        return message;
      },
    );
  if (problem === undefined) return backupId;
  const choice = await run.ask(
    `The safety backup of ${target} is not what the plan said: ${problem} The former database itself is kept on the server. Go on?`,
    ['go on', { harmless: 'stop' }],
  );
  if (choice !== 'go on') throw verificationFailed(`the safety backup of ${target}: ${problem}`);
  return saved ? backupId : undefined;
}

function describeBackup(backup: BackupSummary): string {
  const { backupId, sizeBytes, tables, rows, durationMs, unsaved = [] } = backup;
  const shrunk = describeShrunk(backup);
  const lacking = unsaved.length === 0 ? '' : `, without ${unsaved.join(', ')}, which cannot be read`;
  return `${backupId}: ${bytes(sizeBytes)}, ${tables} tables, ${rows.toLocaleString('en-US')} rows in ${duration(durationMs)}${lacking}${shrunk === undefined ? '' : `; since the backup before ${shrunk}`}`;
}

/** How many are named in one line. */
const NAMED_SHRUNK = 5;

/** Tables that lost more than half of their rows since the backup before; undefined where there are none. */
export function describeShrunk({
  shrunk = [],
  shrunkTables = 0,
}: Pick<BackupSummary, 'shrunk' | 'shrunkTables'>): string | undefined {
  if (shrunkTables === 0) return undefined;
  const named = shrunk.slice(0, NAMED_SHRUNK);
  const more = shrunkTables > named.length ? ` and ${shrunkTables - named.length} more` : '';
  return `${shrunkTables === 1 ? 'a table' : `${shrunkTables} tables`} shrank: ${named.join('; ')}${more}`;
}

import { countOf, duration } from '../../../contract/text';
import type { ApplyResult, Migration } from '../../../contract/migration';
import type { DatabaseRef, Fence } from '../../../contract/place';
import type { Run, WayBack } from '../../kit';
import type { Diagnosis } from './diagnose';
import { isAccepted } from './accept';

/** Where migrations are applied, and with whose fence. */
export interface Target {
  database: DatabaseRef;
  fence: Fence;
  where: string;
}

interface Apply extends Target {
  migration: Migration;
  direction: 'up' | 'down';
  /** What becomes of it when the run fails. */
  undo: WayBack;
}

/** Title of the step that applies a migration. */
export const applyTitle = (name: string, where: string) => `Apply ${name} on ${where}`;

/** Applies one migration up or down. Idempotent: the ledger at the target knows what was done. */
export function applyTo(
  run: Run,
  { input }: Diagnosis,
  { database, migration, fence, where, direction, undo }: Apply,
): Promise<ApplyResult> {
  const { name } = migration;
  return run.step(
    direction === 'up' ? applyTitle(name, where) : `Undo ${name} on ${where}`,
    (act) =>
      act.applyMigration({
        database,
        migration: { name: migration.name, sha256: migration.sha256, downSha256: migration.downSha256 },
        direction,
        fence,
        allowRewrite: isAccepted(input.accept, 'table-rewrite', [name, migration.file]),
      }),
    { kind: 'mutate', undo, describe: describeApplied, permittedMs: migration.permittedMs ?? 0 },
  );
}

/** Those that the ledger of that database has, or of which it has a part; an aborted transaction left nothing to undo. */
export async function appliedAmong(
  run: Run,
  migrations: Migration[],
  { database, fence, where }: Target,
): Promise<Migration[]> {
  const ledger = await run.step(`Ledger of ${where}`, (act) => act.readLedger({ database, fence }));
  return migrations.filter(({ name, sha256 }) =>
    ledger.some((entry) => entry.name === name && entry.sha256 === sha256),
  );
}

/** Names and contents of everything that the ledger has, or of which it has a part. */
export async function readApplied(run: Run, { database, fence, where }: Target): Promise<string[]> {
  const ledger = await run.step(
    `What is applied on ${where}?`,
    (act) => act.readLedger({ database, fence }),
    {
      describe: (entries) => countOf(entries.length, 'migration'),
    },
  );
  return ledger.map(
    ({ name, sha256, unfinished }) => `${name}:${sha256}${unfinished === true ? ':begun' : ''}`,
  );
}

/** One migration, as a line of the timeline. */
function describeApplied({
  alreadyDone,
  statements,
  durationMs,
  lockAttempts,
  totalBlockMs,
}: ApplyResult): string {
  if (alreadyDone) return 'already done';
  const locks = lockAttempts > 1 ? `, ${lockAttempts} tries for the lock` : '';
  return `${countOf(statements, 'statement')} in ${duration(durationMs)}${locks}, others blocked at most ${duration(totalBlockMs)}`;
}

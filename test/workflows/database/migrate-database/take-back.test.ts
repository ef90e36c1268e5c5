import { takingBack } from '../../../../src/workflows/database/migrate-database/take-back';
import type { Diagnosis } from '../../../../src/workflows/database/migrate-database/diagnose';
import type { Back, Rehearsal } from '../../../../src/workflows/database/migrate-database/rehearse';
import type { Run } from '../../../../src/workflows/kit';

const place = { service: 'shop', environment: 'production' };
const restore: Back = { kind: 'restore', why: 'it has no down script' };
const migrationOf = (name: string) => ({
  ...{ name, sha256: name, downSha256: null, statements: 1, transactional: true, hazards: [] },
});

/** Goes back from those in `ledger`, by a person who wants to look first. Returns what that person is told. */
async function leaveIt(pending: string[], ledger: string[], backupId?: string): Promise<string> {
  const answers: Record<string, unknown> = {
    'Ledger of shop/production': ledger.map((name) => ({ name, sha256: name })),
    'Look at what there is of shop/production': { condition: 'missing' },
  };
  const run = {
    step: async (title: string) => answers[title],
    ask: async () => 'leave it to me',
    needsHuman: (summary: string) => {
      throw new Error(summary);
    },
  } as unknown as Run;
  const migrations = pending.map(migrationOf);
  const rehearsal = {
    migrations: migrations.map((migration) => ({ migration, back: restore })),
  } as unknown as Rehearsal;
  const applied = { place, migrations, backupId, fence: { target: 'shop/production', token: 1 } };
  return takingBack(run, {} as Diagnosis, rehearsal, applied)
    .of(migrations[0]!)
    .back()
    .then(
      () => 'done',
      (error: Error) => error.message,
    );
}

describe('what stays when a person wants to look first', () => {
  it('is what was applied, and not what never was', async () => {
    expect(await leaveIt(['a.sql', 'b.sql'], ['a.sql'], 'b1')).toBe(
      'a.sql stays on shop/production, as decided; its backup is b1',
    );
  });

  it('is named as several where it is several', async () => {
    expect(await leaveIt(['a.sql', 'b.sql'], ['a.sql', 'b.sql'])).toBe(
      'a.sql, b.sql stay on shop/production: there is no backup to restore',
    );
  });
});

it('asks once where down scripts were not tried, and says what the other way loses', async () => {
  const asked: string[] = [];
  const steps: string[] = [];
  const run = {
    step: async (title: string) => {
      steps.push(title);
      if (title.startsWith('Ledger')) return [{ name: 'a.sql', sha256: 'a.sql' }];
      return { condition: 'missing' };
    },
    ask: async (question: string, choices: string[]) => {
      asked.push(question);
      return choices[0];
    },
  } as unknown as Run;
  const migrations = [migrationOf('a.sql')];
  const rehearsal = {
    migrations: [{ migration: migrations[0], back: { kind: 'unrehearsed', why: 'a later one cannot' } }],
  } as unknown as Rehearsal;
  const fence = { target: 'shop/production', token: 1 };
  const back = takingBack(run, { place, input: { accept: [] } } as unknown as Diagnosis, rehearsal, {
    ...{ place, migrations, backupId: 'b1', fence },
  });
  await back.of(migrations[0]!).back();
  expect(asked).toEqual([
    expect.stringMatching(
      /^a\.sql must go back from shop\/production, and not every down script could be rehearsed\. Restoring shop\/production from b1 loses everything .*\. Which way\?$/,
    ),
  ]);
  expect(steps.at(-1)).toBe('Undo a.sql on shop/production');
  expect(back.restored()).toBe(false);
});

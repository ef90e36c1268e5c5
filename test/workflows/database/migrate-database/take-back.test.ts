import { takingBack } from '../../../../src/workflows/database/migrate-database/take-back';
import type { Diagnosis } from '../../../../src/workflows/database/migrate-database/diagnose';
import type { ContentsDelta, Lost } from '../../../../src/contract/contents';
import {
  backOf,
  type Back,
  type Rehearsal,
} from '../../../../src/workflows/database/migrate-database/rehearse';
import type { Run } from '../../../../src/workflows/kit';

const place = { service: 'shop', environment: 'production' };
const restore: Back = { kind: 'restore', why: 'it has no down script' };
const migrationOf = (name: string) => ({
  ...{ name, sha256: name, downSha256: null, statements: 1, transactional: true, hazards: [] },
});

const noted: string[] = [];
beforeEach(() => void noted.splice(0));

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
    note: (_title: string, detail: string) => noted.push(detail),
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

  it('is still in the ledger, and how to say so when it is gone is noted', async () => {
    await leaveIt(['a.sql', 'b.sql'], ['a.sql']);
    expect(noted).toEqual([
      expect.stringMatching(/: DELETE FROM durable_runbooks\.ledger WHERE migration IN \('a\.sql'\)$/),
    ]);
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

const delta = (...lost: Lost[]): ContentsDelta => ({ lost, more: 0, gained: [] });
const notes: Lost = { kind: 'values', what: 'public.items (note)', count: 1_000 };
const column: Lost = { kind: 'column', what: 'public.items.note', count: 1_000 };
const added: Lost = { kind: 'column', what: 'public.items.plan', count: 1_000 };
const rows: Lost = { kind: 'rows', what: 'public.items', count: 1_000 };
const numbers: Lost = { kind: 'sequence', what: 'public.numbers', count: null };

/** The way back of a migration before one that has lost `later` for good. */
const before = (later: Lost, up: ContentsDelta, down: ContentsDelta, both = delta(later)) => {
  const spoilt = new Set<string>();
  expect(backOf({ up: delta(later), down: delta(), both: delta(later) }, spoilt).kind).toBe('restore');
  return backOf({ up, down, both }, spoilt);
};

describe('the way back of a migration, where a later one has lost something for good', () => {
  const hides = (table: string) => ({
    kind: 'unrehearsed',
    why: `what a later one loses of ${table} hides what this one does`,
  });

  it.each([
    ['overwrites the same values', notes, delta(notes), delta()],
    ['overwrites values of rows that are gone then', rows, delta(notes), delta()],
    ['drops a column of rows that are gone then', rows, delta(column), delta()],
    ['has a way back that writes to them', rows, delta(), delta(notes)],
    ['does more than is listed', rows, { ...delta(), more: 1 }, delta()],
  ])('is not known where it %s', (_what, later, up, down) => {
    expect(before(later, up, down)).toEqual(hides('public.items'));
  });

  it('is not known where it sets back the same sequence', () => {
    expect(before(numbers, delta(numbers), delta())).toEqual(hides('public.numbers'));
  });

  it('is its down script where it has not touched that, but for what it added', () => {
    expect(before(rows, delta(), delta(added))).toEqual({ kind: 'down', writes: false });
  });

  it('is a restore where it loses something else as well', () => {
    expect(before(rows, delta(numbers), delta(), delta(rows, numbers))).toEqual({
      kind: 'restore',
      why: 'its down script does not bring back the numbers that sequence public.numbers has given out',
    });
  });
});

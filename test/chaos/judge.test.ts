import { drawRound, type RunPlan } from './draw';
import type { EndedRun, Facts, MigrationFacts, Verdict } from './facts';
import { judge } from './judge';
import type { Write } from './writer';

const T0 = Date.parse('2027-01-01T00:00:00Z');
const at = (seconds: number) => T0 + seconds * 1_000;
const iso = (seconds: number) => new Date(at(seconds)).toISOString();

const write = (id: string, seconds: number, answer: Write['answer'] = 'acknowledged'): Write => ({
  id,
  sentMs: at(seconds),
  endedMs: at(seconds) + 5,
  answer,
});
const plan = (kind: RunPlan['kind'], changed: Partial<RunPlan['migration']> = {}): RunPlan => ({
  kind,
  afterMs: 0,
  mode: 'auto',
  says: 'approve',
  cancelAfterMs: undefined,
  migration: { shape: 'column', unwell: false, staging: 'staging', ...changed },
});

type Line = { title: string; detail?: string; from: number; to: number };
const run = (kind: RunPlan['kind'], id: string, outcome: string, lines: Line[] = []): EndedRun => ({
  plan: plan(kind),
  workflowId: id,
  status: outcome === 'SUCCEEDED' ? 'COMPLETED' : 'FAILED',
  inTime: true,
  migration: undefined,
  front: 'dep-3',
  report: {
    outcome,
    summary: `${id} ${outcome}`,
    facts: { backupId: 'b1' },
    timeline: lines.map(({ title, from, to }) => ({
      title,
      status: 'done',
      startedAt: iso(from),
      endedAt: iso(to),
    })),
  } as unknown as EndedRun['report'],
});
const MIGRATION = '2027_01_01_000001_column.sql';
const onBoth = (changed: Partial<MigrationFacts> = {}): MigrationFacts[] =>
  (['production', 'staging'] as const).map((environment) => ({
    environment,
    migration: MIGRATION,
    effects: 1,
    ups: 1,
    object: true,
    ...changed,
  }));

/** A round in which everything is as it is said to be: w2 went with the restore, and is in the former database. */
function honest(): Facts {
  return {
    runs: [
      run('back up', 'backUp/1', 'SUCCEEDED'),
      run('restore', 'restore/1', 'SUCCEEDED'),
      {
        ...run('migrate', 'migrate/1', 'SUCCEEDED', [
          { title: `Apply ${MIGRATION} on booking/production`, from: 30, to: 31 },
        ]),
        migration: MIGRATION,
      },
      run('roll back deployment', 'rollBack/1', 'SUCCEEDED'),
    ],
    earlier: [],
    writes: [
      write('w1', 1),
      write('w2', 12),
      write('w3', 25),
      write('w4', 26, 'refused'),
      write('w5', 27, 'unknown'),
    ],
    live: new Map([
      ['w1', 1],
      ['w3', 1],
    ]),
    departures: [
      {
        workflowId: 'restore/1',
        fromMs: at(10),
        toMs: at(20),
        toldAtMost: 1,
        kept: new Map([
          ['w1', 1],
          ['w2', 1],
        ]),
      },
    ],
    replaced: true,
    migrations: onBoth(),
    backups: [{ backupId: 'b1', snapshotMs: at(10), writes: new Map([['w1', 1]]) }],
    tokens: [
      { target: 'booking/production', token: '1', workflowId: 'restore/1' },
      { target: 'booking/production', token: '2', workflowId: 'migrate/1' },
      { target: 'booking/staging', token: '1', workflowId: 'migrate/1' },
    ],
    leases: [],
    application: { front: 'dep-2', recommendations: false },
    troubleSessions: 0,
    repairs: [],
    leftovers: [],
  };
}
const runOf = (facts: Facts, id: string): EndedRun => facts.runs.find((one) => one.workflowId === id)!;
const says = (facts: Facts, id: string, outcome: string): void => {
  Object.assign(runOf(facts, id).report as object, { outcome });
};

it('finds nothing where everything is as it is said to be', () => {
  expect(judge(honest())).toEqual([]);
});

it.each<[string, (facts: Facts) => void, Verdict, RegExp]>([
  ['an acknowledged write is gone', (f) => f.live.delete('w3'), 'lost', /w3, acknowledged/],
  [
    'a write that a restore took is not in the former database',
    (f) => f.departures[0]!.kept!.delete('w2'),
    'lost',
    /w2/,
  ],
  ['a write from before the backup is gone', (f) => f.live.delete('w1'), 'lost', /w1/],
  ['a write from after the swap is gone', (f) => (f.departures[0]!.toMs = at(11)), 'lost', /w2/],
  [
    'a restore took more than people were told',
    (f) => (f.departures[0]!.toldAtMost = 0),
    'lost',
    /1 writes by the restore restore\/1, which told people of 0/,
  ],
  [
    'a restore took something and told nobody',
    (f) => (f.departures[0]!.toldAtMost = undefined),
    'lost',
    /told people of none/,
  ],
  [
    'a backup lacks what came before it',
    (f) => f.backups[0]!.writes.delete('w1'),
    'lost',
    /backup b1 0 times/,
  ],
  ['a write is there twice', (f) => f.live.set('w1', 2), 'doubled', /w1/],
  ['a write is twice in a backup', (f) => f.backups[0]!.writes.set('w1', 2), 'doubled', /backup b1 2 times/],
  ['a write that was refused is there', (f) => f.live.set('w4', 1), 'wrong', /w4, refused/],
  ['a write that was refused is in a backup', (f) => f.backups[0]!.writes.set('w4', 1), 'wrong', /w4/],
  ['a migration has its effect twice', (f) => (f.migrations[0]!.effects = 2), 'doubled', /effect 2 times/],
  ['the ledger has it twice', (f) => (f.migrations[0]!.ups = 2), 'doubled', /2 times by the ledger/],
  ['the ledger forgets it', (f) => (f.migrations[0]!.ups = 0), 'wrong', /0 in the ledger/],
  ['half of it is there', (f) => (f.migrations[1]!.object = false), 'wrong', /staging: .* missing/],
  [
    'it is applied, and the run says that nothing was',
    (f) => says(f, 'migrate/1', 'ROLLED_BACK'),
    'wrong',
    /is applied, and its run migrate\/1 says ROLLED_BACK/,
  ],
  [
    'it is not applied, and the run says so',
    (f) => (f.migrations = onBoth({ effects: 0, ups: 0, object: false })),
    'wrong',
    /is not applied, and its run/,
  ],
  [
    'one of an earlier round is gone',
    (f) => {
      f.earlier = f.runs.filter(({ migration }) => migration !== undefined);
      f.runs = f.runs.filter(({ migration }) => migration === undefined);
      f.migrations = onBoth({ effects: 0, ups: 0, object: false });
    },
    'wrong',
    /is not applied, and its run/,
  ],
  [
    'it outlives the restore of a backup from before it',
    (f) => (f.departures[0]!.toMs = at(40)),
    'wrong',
    /production is applied/,
  ],
  [
    'a run succeeds with a broken invariant',
    (f) => (runOf(f, 'migrate/1').plan = plan('migrate', { unwell: true })),
    'wrong',
    /an invariant that it broke/,
  ],
  ['a run never ends', (f) => (runOf(f, 'backUp/1').inTime = false), 'wrong', /did not end/],
  [
    'a run is terminated',
    (f) => (runOf(f, 'backUp/1').status = 'TERMINATED'),
    'wrong',
    /ended as TERMINATED/,
  ],
  ['a run has no outcome', (f) => (runOf(f, 'backUp/1').report = undefined), 'wrong', /without an outcome/],
  [
    'a step still runs when all is over',
    (f) => (runOf(f, 'migrate/1').report!.timeline[0]!.status = 'running'),
    'wrong',
    /still runs/,
  ],
  ['a backup that is said to be there is not', (f) => (f.backups = []), 'wrong', /no complete backup b1/],
  ['nobody restored what is replaced', (f) => says(f, 'restore/1', 'FAILED'), 'wrong', /no run says/],
  ['a restore replaced nothing', (f) => (f.replaced = false), 'wrong', /is the same, and restore\/1/],
  [
    'the deployment that was to go is in front',
    (f) => (f.application.front = 'dep-3'),
    'wrong',
    /dep-3 is in front/,
  ],
  [
    'one that was to stay has gone',
    (f) => says(f, 'rollBack/1', 'ROLLED_BACK'),
    'wrong',
    /dep-2 is in front/,
  ],
  [
    'the broken feature is on',
    (f) => {
      f.runs.push(run('resolve errors', 'errors/1', 'SUCCEEDED'));
      f.application.recommendations = true;
    },
    'wrong',
    /feature is on/,
  ],
  [
    'forgotten transactions are open',
    (f) => {
      f.runs.push(run('relieve connections', 'relieve/1', 'SUCCEEDED'));
      f.troubleSessions = 3;
    },
    'wrong',
    /3 forgotten transactions/,
  ],
  [
    'two runs had one lease',
    (f) => (f.tokens[1]!.token = '1'),
    'doubled',
    /token 1: restore\/1 and migrate\/1/,
  ],
  [
    'a lease is held',
    (f) => f.leases.push({ target: 'booking', workflowId: 'migrate/1', kept: false }),
    'leftover',
    /the lease of booking/,
  ],
  [
    'a lease is kept for a person whom nobody called',
    (f) => f.leases.push({ target: 'booking', workflowId: 'migrate/1', kept: true }),
    'leftover',
    /the lease of booking/,
  ],
  [
    'something is kept for a person whom nobody called',
    (f) => f.leftovers.push({ what: 'database restored_1', keptForPeople: true }),
    'leftover',
    /restored_1/,
  ],
  [
    'something is left that is for nobody',
    (f) => {
      f.runs.push(run('drill', 'drill/1', 'NEEDS_HUMAN'));
      f.leftovers.push({ what: 'session dr:1', keptForPeople: false });
    },
    'leftover',
    /dr:1/,
  ],
])('finds that %s', (_, doctor, verdict, what) => {
  const facts = honest();
  doctor(facts);
  expect(judge(facts)).toContainEqual({ verdict, what: expect.stringMatching(what) as string });
});

it('takes no offence at what a run keeps for a person that it has called', () => {
  const facts = honest();
  facts.runs.push(run('drill', 'drill/1', 'NEEDS_HUMAN'));
  facts.leases.push({ target: 'booking', workflowId: 'drill/1', kept: true });
  facts.leftovers.push({ what: 'disposable cluster drill', keptForPeople: true });
  expect(judge(facts)).toEqual([]);
});

it('draws the same for the same seed and number, and something else for others', () => {
  expect(drawRound(7, 3)).toEqual(drawRound(7, 3));
  expect(drawRound(7, 3)).not.toEqual(drawRound(7, 4));
  expect(drawRound(7, 3)).not.toEqual(drawRound(8, 3));
});

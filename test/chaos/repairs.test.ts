import { drawRound, REPAIR_KINDS } from './draw';
import type { EndedRun, Facts, Repair } from './facts';
import { judge } from './judge';

const RUN = 'resolveDoubleBookings/1';

/** What the judge says of one row and its run. */
function verdictsOf(outcome: string, state: Repair['state'], times: number | undefined): string[] {
  const run = {
    plan: { kind: 'resolve double bookings' },
    workflowId: RUN,
    status: 'COMPLETED',
    inTime: true,
    report: { outcome, summary: '', facts: {}, timeline: [] },
  } as unknown as EndedRun;
  const facts: Facts = {
    runs: [run],
    earlier: [],
    writes: [],
    live: new Map(),
    departures: [],
    replaced: false,
    migrations: [],
    backups: [],
    tokens: [],
    leases: [],
    application: { front: 'dep-2', recommendations: false },
    troubleSessions: 0,
    repairs: [{ workflowId: RUN, what: 'slot 7', state, times }],
    leftovers: [],
  };
  return judge(facts).map(({ verdict }) => verdict);
}

it.each<[string, Repair['state'], number | undefined, string[]]>([
  ['SUCCEEDED', 'mended', 1, []],
  ['SUCCEEDED', 'mended', undefined, []],
  ['SUCCEEDED', 'as before', 0, ['wrong']],
  ['SUCCEEDED', 'half', 1, ['wrong']],
  ['SUCCEEDED', 'mended', 2, ['doubled']],
  ['ROLLED_BACK', 'as before', 0, []],
  ['ROLLED_BACK', 'as before', -1, ['doubled']],
  ['ROLLED_BACK', 'mended', 1, ['wrong']],
  ['REJECTED', 'half', 1, ['wrong']],
  ['NOTHING_TO_DO', 'mended', 1, ['wrong']],
  ['PARTIAL', 'mended', 1, []],
  ['PARTIAL', 'half', 1, []],
  ['PARTIAL', 'as before', 1, ['wrong']],
  ['NEEDS_HUMAN', 'mended', 0, ['wrong']],
])('a run that says %s of a row that is %s, done %p times: %j', (outcome, state, times, verdicts) => {
  expect(verdictsOf(outcome, state, times)).toEqual(verdicts);
});

it('every second round has two repairs of different kinds, and no migration; all kinds come', () => {
  const drawn = new Set<string>();
  for (let number = 2; number <= 80; number += 2) {
    const { runs, faults } = drawRound(7, number);
    const kinds = runs.map(({ kind }) => kind).filter((kind) => kind !== 'back up');
    expect(new Set(kinds).size).toBe(2);
    expect(runs.length - kinds.length).toBeLessThanOrEqual(1);
    expect(faults.length).toBeGreaterThanOrEqual(8);
    expect(drawRound(7, number)).toEqual({ runs, faults });
    kinds.forEach((kind) => drawn.add(kind));
  }
  expect([...drawn].sort()).toEqual([...REPAIR_KINDS].sort());
});

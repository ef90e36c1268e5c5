import * as fc from 'fast-check';

/** What a run is to do, and what people say to it. Everything random about it is here. */
export interface RunPlan {
  kind: RunKind;
  /** After the beginning of the round. */
  afterMs: number;
  mode: 'auto' | 'propose';
  /** What people answer to a plan; questions of a way back are agreed to either way. */
  says: 'approve' | 'reject';
  /** After its start; absent where nobody cancels it. */
  cancelAfterMs: number | undefined;
  migration: MigrationPlan;
  /** Of a payment: the customer paid twice, and is not just unheard. */
  twice?: boolean;
}

export interface MigrationPlan {
  /** rows: its effect alone; column: DDL with it; index: a statement that no transaction covers. */
  shape: 'rows' | 'column' | 'index';
  /** Breaks an invariant, in production only: what was applied has to go back. */
  unwell: boolean;
  staging: 'staging' | 'none';
}

export const DATABASE_KINDS = ['migrate', 'back up', 'restore', 'drill', 'relieve connections'] as const;
export const APPLICATION_KINDS = ['roll back deployment', 'resolve errors'] as const;
/** They mend rows, or have the application do so. */
export const REPAIR_KINDS = [
  'resolve double bookings',
  'release stuck holds',
  'recover cron',
  'replay webhooks',
  'audit provider gate',
  'reconcile payment',
] as const;
export type RepairKind = (typeof REPAIR_KINDS)[number];
export type RunKind = (typeof DATABASE_KINDS)[number] | (typeof APPLICATION_KINDS)[number] | RepairKind;

export const FAULT_KINDS = [
  'worker killed',
  'worker frozen',
  'PostgreSQL stopped at once',
  'Temporal killed',
  'guard terminated',
  'session of a step ended',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface FaultPlan {
  kind: FaultKind;
  /** After the one before. */
  afterMs: number;
  /** How long it lasts, where it lasts. */
  forMs: number;
  /** Which of several: the remainder by their number. */
  which: number;
}

/** Runs that begin together, and what happens to them. */
export interface Round {
  runs: RunPlan[];
  faults: FaultPlan[];
}

const migration: fc.Arbitrary<MigrationPlan> = fc.record({
  shape: fc.constantFrom('rows', 'column', 'index'),
  unwell: weighted([
    [2, false],
    [1, true],
  ]),
  staging: fc.constantFrom('staging', 'none'),
});

const runOf = (kind: fc.Arbitrary<RunKind>): fc.Arbitrary<RunPlan> =>
  fc.record({
    kind,
    afterMs: fc.integer({ min: 0, max: 4_000 }),
    mode: fc.constantFrom('auto', 'propose'),
    says: weighted([
      [6, 'approve'],
      [1, 'reject'],
    ]),
    cancelAfterMs: fc.oneof(
      { weight: 8, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.integer({ min: 500, max: 20_000 }) },
    ),
    migration,
  });

const databaseRun = runOf(
  weighted([
    [5, 'migrate'],
    [2, 'back up'],
    [3, 'restore'],
    [2, 'drill'],
    [2, 'relieve connections'],
  ]),
);

const fault: fc.Arbitrary<FaultPlan> = fc.record({
  kind: weighted([
    [4, 'worker killed'],
    [2, 'worker frozen'],
    [3, 'PostgreSQL stopped at once'],
    [2, 'Temporal killed'],
    [2, 'guard terminated'],
    [2, 'session of a step ended'],
  ]),
  afterMs: fc.integer({ min: 300, max: 3_000 }),
  forMs: fc.integer({ min: 0, max: 8_000 }),
  which: fc.nat({ max: 1_000 }),
});

/** Two that want the same database, and perhaps one at the application in front of it. */
const round: fc.Arbitrary<Round> = fc
  .record({
    database: fc.array(databaseRun, { minLength: 2, maxLength: 2 }),
    application: fc.array(runOf(fc.constantFrom(...APPLICATION_KINDS)), { maxLength: 1 }),
    faults: fc.array(fault, { minLength: 8, maxLength: 12, size: 'max' }),
  })
  .map(({ database, application, faults }) => ({ runs: [...database, ...application], faults }));

const repairOf = (...kinds: RepairKind[]): fc.Arbitrary<RunPlan> =>
  fc
    .record({ run: runOf(fc.constantFrom(...kinds)), twice: fc.boolean() })
    .map(({ run, twice }) => ({ ...run, twice }));

/**
 * Two repairs of different kinds that want the same lease, perhaps beside a backup. What they mend breaks invariants, so no
 * migration is near. One that starts the job again would end the holds that the other is to release.
 */
const repairRound: fc.Arbitrary<Round> = fc
  .record({
    repairs: fc
      .shuffledSubarray<RepairKind[]>(
        [
          ['resolve double bookings'],
          ['release stuck holds', 'recover cron'],
          ['replay webhooks'],
          ['audit provider gate'],
          ['reconcile payment'],
        ],
        { minLength: 2, maxLength: 2 },
      )
      .chain((kinds) => fc.tuple(...kinds.map((one) => repairOf(...one)))),
    beside: fc.array(runOf(fc.constant('back up')), { maxLength: 1 }),
    faults: fc.array(fault, { minLength: 8, maxLength: 12, size: 'max' }),
  })
  .map(({ repairs, beside, faults }) => ({ runs: [...repairs, ...beside], faults }));

/** The same seed and number draw the same, whatever came of the rounds before. Every second round is one of repairs. */
export function drawRound(seed: number, number: number): Round {
  const kind = number % 2 === 0 ? repairRound : round;
  const [drawn] = fc.sample(fc.noBias(kind), { seed: (seed * 10_007 + number) | 0, numRuns: 1 });
  return drawn!;
}

function weighted<const T>(choices: [number, T][]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant<T>(value) })));
}

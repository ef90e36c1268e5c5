import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import type { IndexChange, IndexReview, KnownStatement, VacuumReview } from '../../../src/contract/tuning';
import { judgeTimes, watchedBy, type StatementTime } from '../../../src/workflows/database/watch-times';
import { quietTemporal } from '../../support/quiet';
import { databaseOfNobody } from '../database-of-nobody';

quietTemporal();
const HOUR_MS = 3_600_000;

const table = {
  ...{ table: 'public.bookings', liveRows: 10, deadRows: 90, bytes: 1, bloatBytes: null, lastVacuum: null },
  ...{ lastAutovacuum: null, autovacuumOff: false, running: false, age: 1, freezeMaxAge: 2 },
};
const vacuumReview: VacuumReview = {
  ...{ database: 'booking', fenceToken: 0, countedSince: '2026-01-01T00:00:00Z', due: [table] },
  ...{ findings: [], warnings: [], later: ['public.slots', 'public.links'] },
  settings: { deadShare: 0.2, lockTimeoutSeconds: 10, tableTimeoutMinutes: 120 },
  offPeak: { open: false, waitMs: 5 * HOUR_MS, leftMs: 0, window: '01:00-05:00 UTC' },
};
const indexReview: IndexReview = {
  ...{ database: 'booking', fenceToken: 0, countedSince: '2026-01-01T00:00:00Z', replicas: ['replica-1'] },
  ...{
    statementsSeen: true,
    slow: [],
    witnesses: [],
    findings: ['look at it'],
    warnings: ['a warning'],
    planner: {},
  },
  changes: [
    {
      ...{
        kind: 'drop',
        index: 'public.twin',
        table: 'public.bookings',
        definition: 'CREATE INDEX twin',
        why: 'double',
      },
      ...{ bytes: 1, helps: [], needless: true, tablespace: null, comment: null },
    },
  ],
  settings: { slowMs: 1, minGain: 0.3, maxLoss: 0.05, buildTimeoutMinutes: 1 },
};

/** What is wrong with the indexes. */
let problems = indexReview;
/** Before the change, and right after it. */
const times = [0, 1].map(() => ({ id: '5', calls: 100, totalMs: 100 }));
let environment: TestEnvironment;
const done: string[] = [];
/** Hours until it is off-peak, one answer for each time that somebody asks. */
const waits: number[] = [];
const vacuumed = {
  table: 'public.bookings',
  done: true,
  why: '',
  deadBefore: 90,
  deadAfter: 0,
  durationMs: 1,
};
let result: typeof vacuumed;
beforeAll(async () => {
  environment = await startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: {
      services: {
        booking: { mode: 'auto', environments: { production: { database: databaseOfNobody } } },
        watched: {
          mode: 'auto',
          environments: {
            production: { database: databaseOfNobody, application: { soakSeconds: 5, soakEverySeconds: 1 } },
          },
        },
      },
    },
    activities: {
      findBloatedTables: async () => vacuumReview,
      findSlowQueries: async () => indexReview,
      findIndexProblems: async () => problems,
      readOffPeak: async () => {
        const hours = waits.shift() ?? 0;
        done.push(`asked, ${hours} h`);
        return { open: hours === 0, waitMs: hours * HOUR_MS, leftMs: null, window: '01:00-05:00 UTC' };
      },
      vacuumTable: async () => {
        done.push('vacuum');
        return result;
      },
      dropIndex: async () => {
        done.push('drop');
        return { changed: true, bytes: 1, durationMs: 1 };
      },
      buildIndex: async () => {
        done.push('build');
        return { changed: true, bytes: 1, durationMs: 1 };
      },
      planStatements: async () => [],
      readStatementTimes: async () => [times.shift() ?? { id: '5', calls: 200, totalMs: 1_100 }],
      readTable: async () => ({ state: { ...table, deadRows: 0 }, detail: 'none' }),
    },
  });
});
beforeEach(() => {
  done.length = 0;
  result = vacuumed;
});
afterAll(() => environment?.stop());

const input = { service: 'booking', environment: 'production' };

describe('vacuumBloatedTables', () => {
  it('waits until it is off-peak, and looks again when it has waited', async () => {
    waits.push(5, 1);
    const handle = await environment.start('vacuumBloatedTables', input);
    const report = await environment.end(handle);
    expect([report.outcome, done]).toEqual([
      'SUCCEEDED',
      ['asked, 5 h', 'asked, 1 h', 'asked, 0 h', 'vacuum'],
    ]);
    expect(Date.parse(report.endedAt!) - Date.parse(report.startedAt)).toBeGreaterThanOrEqual(6 * HOUR_MS);
    const { events } = await handle.fetchHistory();
    const vacuum = events!
      .map(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled)
      .find((scheduled) => scheduled?.activityType?.name === 'vacuumTable');
    // Twice the 120 minutes of the configuration go on top of what every change has.
    expect(Number(vacuum?.startToCloseTimeout?.seconds)).toBe(6 * 3_600);
    await environment.replay(handle);
  });

  it('fails where no table could be vacuumed, and says why', async () => {
    result = { ...vacuumed, done: false, why: 'no lock within 10 s: pid 7 (migration) holds ShareLock' };
    const report = await environment.run('vacuumBloatedTables', input);
    expect([report.outcome, report.summary]).toEqual([
      'FAILED',
      expect.stringContaining(
        'no table of booking/production was vacuumed; left alone: public.bookings: no lock within 10 s: pid 7',
      ),
    ]);
  });
});

it.each(['tuneSlowQueries', 'reviewIndexes', 'vacuumBloatedTables'])(
  '%s does nothing when nobody approves in time',
  async (runbook) => {
    const report = await environment.run(runbook, { ...input, mode: 'propose' });
    expect([report.outcome, done]).toEqual(['REJECTED', []]);
    expect(report.plan?.actions).toHaveLength(1);
  },
);

it('a plan to vacuum says which tables are left for the next run', async () => {
  const { plan } = await environment.run('vacuumBloatedTables', { ...input, mode: 'observe' });
  expect(plan?.warnings).toEqual([
    '2 tables over the limits are left for the next run, because `maxDestructive` allows 1: public.slots, public.links',
  ]);
});

it('a new index that makes writes much slower is taken back', async () => {
  const write: KnownStatement = {
    id: '5',
    text: 'INSERT',
    calls: 100,
    meanMs: 1,
    tables: ['public.bookings'],
    kind: 'write',
  };
  const create: IndexChange = { ...indexReview.changes[0]!, kind: 'create', index: 'public.new' };
  problems = { ...indexReview, changes: [create], witnesses: [write] };
  try {
    const report = await environment.run('reviewIndexes', { ...input, service: 'watched' });
    expect([report.outcome, done]).toEqual(['ROLLED_BACK', ['build', 'drop']]);
    expect(report.summary).toMatch(/100 writes of the tables with a new index took 1\.0 s instead of 100 ms/);
  } finally {
    problems = indexReview;
  }
});

it('a plan to change indexes says what nobody will notice', async () => {
  const { plan } = await environment.run('tuneSlowQueries', { ...input, mode: 'observe' });
  expect(plan?.warnings).toEqual([
    'a warning',
    'the application recommends nothing: `application.queryRecommendations` is not configured',
    expect.stringMatching(/^nobody watches the times of the statements afterwards/),
    'nothing is configured to notice that booking/production broke by: health check, error rate, smoke test',
  ]);
});

describe('the times of statements after a change', () => {
  const time = (calls: number, totalMs: number) => [{ id: '1', calls, totalMs }];

  it('are those of the calls since, and not of all calls', () => {
    const before = time(100, 100_000);
    expect(judgeTimes(before, time(101, 101_000), time(111, 101_100))).toEqual({
      ok: true,
      detail: 'statement 1 takes 10 ms instead of 1.0 s (10 calls)',
    });
    expect(judgeTimes(before, time(101, 101_000), time(111, 121_000)).ok).toBe(false);
  });

  it('say nothing after a reset of the statistics, or of too few calls', () => {
    const before = time(100, 100_000);
    for (const now of [time(3, 9_000), time(103, 109_000), []])
      expect(judgeTimes(before, time(101, 101_000), now)).toEqual({
        ok: true,
        detail: 'none was called often enough since',
      });
  });

  it('are those of the writes as well that have a new index to maintain, together and against what is saved', () => {
    const two = (write: [number, number], read: [number, number]) => [
      { id: 'write', calls: write[0], totalMs: write[1] },
      { id: 'read', calls: read[0], totalMs: read[1] },
    ];
    const before = two([1_000, 1_000], [10, 5_000]);
    const judge = (now: StatementTime[]) => judgeTimes(before, before, now, ['write']);
    expect(judge(two([2_000, 5_000], [10, 5_000]))).toEqual({
      ok: false,
      detail:
        '1000 writes of the tables with a new index took 4.0 s instead of 1.0 s, and the others saved only 0 ms',
    });
    // Twenty calls that take 10 ms instead of 500 are worth three seconds of writes.
    expect(judge(two([2_000, 5_000], [30, 5_200]))).toMatchObject({ ok: true });
    expect(judge(two([2_000, 2_400], [10, 5_000]))).toMatchObject({ ok: true });
    const statement = { text: '', calls: 1, meanMs: 1, tables: ['public.bookings'] };
    const witnesses: KnownStatement[] = [
      { ...statement, id: 'write', kind: 'write' },
      { ...statement, id: 'read', kind: 'read' },
      { ...statement, id: 'elsewhere', kind: 'write', tables: ['public.slots'] },
    ];
    const writesOf = (kind: IndexChange['kind']) =>
      watchedBy({ slow: [], witnesses }, [{ ...indexReview.changes[0]!, kind }]).writes.map(({ id }) => id);
    expect([writesOf('create'), writesOf('drop')]).toEqual([['write'], []]);
  });
});

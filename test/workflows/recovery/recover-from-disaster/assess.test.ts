import {
  isDown,
  recoveryPoints,
  unknownIn,
  whyRestore,
  type Situation,
} from '../../../../src/workflows/recovery/recover-from-disaster/assess';
import { draftOf } from '../../../../src/workflows/recovery/recover-from-disaster/plan';

const LIVE = { condition: 'there', registered: true, unreadableTables: 0, unseenTables: 0, rows: 100 };
const BACKUP = { backupId: 'b1', complete: true, rows: 100, snapshotAt: '2026-01-01T00:00:00Z' };
const situation = (changed: Record<string, unknown>): Situation =>
  ({
    live: { found: LIVE },
    backups: { found: [BACKUP] },
    symptoms: { found: { ok: true, rate: 0, checks: 1 } },
    variables: { found: { configured: true, required: 1, missing: [] } },
    ...changed,
  }) as unknown as Situation;

it.each([
  ['all is well', {}, false],
  ['it lacks a variable, and serves', { variables: { found: { missing: ['KEY'] } } }, false],
  ['it does not serve', { symptoms: { found: { ok: false, rate: 1, checks: 1 } } }, true],
  ['its database is gone', { live: { found: { ...LIVE, condition: 'missing' } } }, true],
  ['its database was emptied', { live: { found: { ...LIVE, rows: 10 } } }, true],
  ['only we cannot reach its database', { live: { why: 'no route' } }, false],
  [
    'nobody reaches its database, and nothing measures it',
    { live: { why: 'no route' }, symptoms: { found: { ok: true, rate: null, checks: 0 } } },
    true,
  ],
])('says that it is down, or not, where %s', (_, changed, down) => {
  expect(isDown(situation(changed))).toBe(down);
});

it('says of what nobody knows that nobody knows it', () => {
  expect(unknownIn(situation({}))).toEqual([]);
  expect(
    unknownIn(
      situation({ backups: { found: [] }, symptoms: { why: 'no answer' }, variables: { why: 'failed' } }),
    ),
  ).toEqual([
    'whether rows of the database are missing: there is no complete backup to compare it with',
    'whether the application serves: no answer',
    'the environment variables: failed',
  ]);
  expect(
    unknownIn(
      situation({
        backups: { why: 'a disk is away' },
        symptoms: { found: { ok: true, rate: null, checks: 0 } },
      }),
    ),
  ).toEqual([
    'whether rows of the database are missing: a disk is away',
    'whether the application serves: no health check and no error rate is configured',
  ]);
});

it.each<[string, Record<string, unknown>, RegExp | undefined]>([
  ['has its rows', {}, undefined],
  ['has half of its rows', { live: { found: { ...LIVE, rows: 50 } } }, undefined],
  [
    'has less than half of its rows',
    { live: { found: { ...LIVE, rows: 49 } } },
    /^it was emptied: .* b1 has 100 rows$/,
  ],
  [
    'has few rows that could be counted',
    { live: { found: { ...LIVE, rows: 1, unseenTables: 1 } } },
    undefined,
  ],
  [
    'has few rows, and no backup tells',
    { live: { found: { ...LIVE, rows: 1 } }, backups: { found: [] } },
    undefined,
  ],
  [
    'was emptied, as a safety backup alone tells',
    {
      live: { found: { ...LIVE, rows: 1 } },
      backups: { found: [{ ...BACKUP, purpose: 'safety' }] },
    },
    undefined,
  ],
  ['cannot be read in part', { live: { found: { ...LIVE, unreadableTables: 1 } } }, /^it is damaged: /],
  ['lets nobody in', { live: { found: { ...LIVE, condition: 'closed' } } }, /lets nobody in/],
  ['cannot be read', { live: { found: { ...LIVE, condition: 'unreadable', why: 'bad page' } } }, /bad page/],
  [
    'is another server, and empty',
    { live: { found: { ...LIVE, registered: false } } },
    /not the registered one/,
  ],
  ['cannot be looked at', { live: { why: 'no route' } }, undefined],
])('restores a database, or not, that %s', (_, changed, why) => {
  const found = whyRestore(situation(changed));
  if (why === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(why);
});

describe('the recovery points', () => {
  const older = { ...BACKUP, backupId: 'b0', snapshotAt: '2025-12-01T00:00:00Z' };
  const [unproven, proven] = [{ provenAt: null }, { provenAt: '2026-02-01T00:00:00Z' }];
  const pointsOf = (...found: Record<string, unknown>[]) =>
    recoveryPoints(situation({ backups: { found } })).map(({ backupId }) => backupId);

  it('are the newest, and the newest that was proven where that is another one', () => {
    expect(pointsOf({ ...older, ...proven }, { ...BACKUP, ...unproven })).toEqual(['b1', 'b0']);
    expect(pointsOf({ ...older, ...proven }, { ...BACKUP, ...proven })).toEqual(['b1']);
    expect(pointsOf({ ...older, ...unproven }, { ...BACKUP, ...unproven })).toEqual(['b1']);
  });

  it('are no safety backups, and none that is not complete', () => {
    expect(pointsOf({ ...older, ...proven }, { ...BACKUP, ...proven, purpose: 'safety' })).toEqual(['b0']);
    expect(pointsOf({ ...older, ...proven }, { ...BACKUP, ...proven, complete: false })).toEqual(['b0']);
    expect(pointsOf()).toEqual([]);
  });
});

describe('the plan', () => {
  const PLACE = { service: 'booking', environment: 'production' };
  const FULL = { ...BACKUP, where: ['disk', 'offsite'], provenAt: '2026-02-01T00:00:00Z' };
  const WELL = {
    live: { found: LIVE },
    deployments: { found: [] },
    others: { found: [{ name: 'mail', state: 'healthy', detail: 'is well' }] },
  };
  const draft = (changed: Record<string, unknown>) =>
    draftOf({ mode: 'propose' }, PLACE, situation({ ...WELL, backups: { found: [FULL] }, ...changed }), [
      'said',
    ]);

  it.each<[string, Record<string, unknown>, string | RegExp]>([
    [
      'the database is read-only',
      { live: { found: { ...LIVE, readOnlySetting: 'on' } } },
      /set to be read-only/,
    ],
    [
      'tables were not looked at',
      { live: { found: { ...LIVE, unseenTables: 2 } } },
      'some tables were not looked at for damage',
    ],
    ['the database cannot be looked at', { live: { why: 'no route' } }, 'the database: not known: no route'],
    ['there is no backup', { backups: { found: [] } }, 'there is no complete backup'],
    [
      'nobody can list the backups',
      { backups: { why: 'a disk is away' } },
      'the backups: not known: a disk is away',
    ],
    [
      'the newest backup is on one disk',
      { backups: { found: [{ ...FULL, where: ['disk'] }] } },
      'b1 has no copy off site',
    ],
    [
      'nothing measures the application',
      { symptoms: { found: { ok: true, rate: null, checks: 0 } } },
      'no health check and no error rate is configured: nothing tells whether the application serves',
    ],
    [
      'the application cannot be asked',
      { symptoms: { why: 'failed' } },
      'the application: not known: failed',
    ],
    [
      'deployments cannot be listed',
      { deployments: { why: 'no tool' } },
      'the deployments: not known: no tool',
    ],
    [
      'somebody else is not well',
      { others: { found: [{ name: 'mail', state: 'unknown', detail: 'says nothing' }] } },
      'services of others: mail says nothing',
    ],
    ['no status page is configured', { others: { found: [] } }, 'services of others: none is configured'],
    [
      'no variables are configured',
      { variables: { found: { configured: false, required: 0, missing: [] } } },
      'the environment variables: not looked at: no recovery.variables is configured',
    ],
    [
      'variables cannot be read',
      { variables: { why: 'failed' } },
      'the environment variables: not known: failed',
    ],
  ])('warns where %s', (_, changed, warning) => {
    const has = (warnings: string[]) =>
      warnings.some((one) => (typeof warning === 'string' ? one === warning : warning.test(one)));
    expect(draft(changed).warnings!.filter((one) => has([one]))).toHaveLength(1);
    expect(has(draft({}).warnings!)).toBe(false);
  });

  it('passes on what nothing looks at afterwards', () => {
    expect(draft({}).warnings).toContain('said');
  });
});

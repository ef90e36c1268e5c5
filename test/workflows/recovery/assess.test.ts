import {
  isDown,
  unknownIn,
  type Situation,
} from '../../../src/workflows/recovery/recover-from-disaster/assess';

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

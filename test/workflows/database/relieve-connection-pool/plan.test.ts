import type {
  ConnectionFacts,
  Offender,
} from '../../../../src/activities/postgres/connections/connection-facts';
import {
  isOnlyPoolExhausted,
  raisedPool,
  relieved,
  snapshotText,
  type Look,
} from '../../../../src/workflows/database/relieve-connection-pool/limits';
import { draftOf, planRelief } from '../../../../src/workflows/database/relieve-connection-pool/plan';
import { hashPlan } from '../../../../src/workflows/kit/plan';

const place = { service: 'shop', environment: 'production' };

const offender = (pid: number, more: Partial<Offender> = {}): Offender => ({
  pid,
  backendStart: `2026-11-21T03:00:${pid}.000001Z`,
  since: '2026-11-21T03:10:22.000001Z',
  application: 'report',
  user: 'shop_app',
  state: 'idle in transaction',
  offence: 'idle in transaction',
  query: 'SELECT 1',
  ...more,
});
const query = (pid: number) => offender(pid, { state: 'active', offence: 'long query' });

function lookOf(facts: Partial<ConnectionFacts> = {}, pool: Partial<Look['pool']> = {}): Look {
  return {
    connections: {
      database: 'shop',
      fenceToken: 0,
      limits: [{ name: 'server', used: 20, limit: 97 }],
      groups: [],
      offenders: [],
      leftAlone: [],
      preparedTransactions: 0,
      ...facts,
      settings: {
        maxUtilisation: 0.8,
        idleInTransactionSeconds: 60,
        longQuerySeconds: 300,
        graceSeconds: 10,
        poolStep: 5,
        reserve: 10,
        maxDestructive: 3,
        ...facts.settings,
      },
    },
    pool: { max: 8, used: 2, waiting: 0, detail: '', canSetMax: true, canRestart: true, ...pool },
  };
}
const full = [{ name: 'server', used: 90, limit: 97 }];
const draft = (look: Look) => draftOf(place, look, planRelief(look));
const actions = (look: Look) => draft(look).actions.map(({ action }) => action);
const hash = (look: Look) => hashPlan(draft(look)).hash;

describe('what counts as short of connections', () => {
  it.each<[string, Look, boolean]>([
    ['nothing is near its limit', lookOf(), true],
    ['the server is full', lookOf({ limits: full }), false],
    ['a role is', lookOf({ limits: [{ name: 'role shop_app', used: 32, limit: 40 }] }), false],
    ['only the pool of the application is', lookOf({}, { used: 7 }), false],
    ['the application does not say', lookOf({}, { max: null, used: null }), true],
    ['a transaction was forgotten', lookOf({ offenders: [offender(1)] }), false],
    ['a query runs for long and there is room', lookOf({ offenders: [query(1)] }), true],
  ])('%s', (_, look, ok) => {
    expect(relieved(look).ok).toBe(ok);
  });
});

describe('the plan', () => {
  it('goes from the least harmful remedy to the last resort', () => {
    const look = lookOf({ limits: full, offenders: [offender(1), query(2)] });
    expect(draft(look).actions).toEqual([
      expect.objectContaining({ action: 'end sessions that sit idle in a transaction', count: 1 }),
      expect.objectContaining({ action: 'if still short, cancel long queries', count: 1 }),
      expect.objectContaining({ action: 'if only the pool is exhausted then, raise it' }),
      expect.objectContaining({ action: 'as the last resort, restart the application' }),
    ]);
  });

  it('leaves queries, the pool and the application alone while there are connections', () => {
    expect(actions(lookOf({ offenders: [offender(1), query(2)] }))).toEqual([
      'end sessions that sit idle in a transaction',
    ]);
  });

  it('refuses more sessions than maxDestructive, and names neither some of them nor all', () => {
    const offenders = [1, 2, 3, 4].map((pid) => offender(pid));
    expect(() => planRelief(lookOf({ offenders }))).toThrow(/more than maxDestructive allows \(3\)/);
    expect(planRelief(lookOf({ offenders: offenders.slice(1) })).idle).toHaveLength(3);
  });

  it('is none where only a person can help', () => {
    const look = lookOf({ limits: full }, { canSetMax: false, canRestart: false });
    expect(() => planRelief(look)).toThrow(/server 90 of 97 .*neither setPoolMax nor restart is configured/);
  });

  const approved = lookOf({ limits: full, offenders: [offender(1), query(2)] });

  it('keeps its hash while only counts and load change', () => {
    const later = lookOf(
      {
        limits: [{ name: 'server', used: 93, limit: 97 }],
        offenders: [query(2), offender(1)],
        groups: [{ user: 'a', application: 'b', state: 'idle', count: 9, since: null }],
        leftAlone: [{ ...offender(9), untouchable: 'superuser' }],
      },
      { used: 8, waiting: 4 },
    );
    expect(hash(later)).toBe(hash(approved));
  });

  it.each<[string, Offender[]]>([
    ['one more', [offender(1), query(2), offender(3)]],
    ['one less', [offender(1)]],
    [
      'the same pid of another session',
      [offender(1, { backendStart: '2026-11-21T04:00:00.000001Z' }), query(2)],
    ],
    [
      'the same session in another transaction',
      [offender(1, { since: '2026-11-21T04:00:00.000001Z' }), query(2)],
    ],
  ])('has another hash with %s', (_, offenders) => {
    expect(hash(lookOf({ limits: full, offenders }))).not.toBe(hash(approved));
  });

  it('has another hash when the pool has another size', () => {
    const { offenders } = approved.connections;
    expect(hash(lookOf({ limits: full, offenders }, { max: 9 }))).not.toBe(hash(approved));
  });
});

describe('the new size of the pool', () => {
  it('is only asked for where the pool is all that is exhausted', () => {
    const asked = [lookOf({}, { used: 8 }), lookOf(), lookOf({ limits: full }, { used: 8 })].map(
      isOnlyPoolExhausted,
    );
    expect(asked).toEqual([true, false, false]);
  });

  it.each([
    ['one step', { name: 'server', used: 20, limit: 97 }, 13],
    ['less where the server keeps the rest for people', { name: 'server', used: 85, limit: 97 }, 10],
    ['nothing where it keeps all of it', { name: 'server', used: 90, limit: 97 }, 8],
    ['what the limit of a role leaves', { name: 'role shop_app', used: 39, limit: 40 }, 9],
  ])('is %s', (_, limit, size) => {
    expect(raisedPool(lookOf({ limits: [limit] }))).toBe(size);
  });
});

it('prepared transactions that were forgotten stand in the plan before anybody is ended', () => {
  const look = lookOf({ offenders: [offender(1)], preparedTransactions: 2, preparedNames: ['order 77'] });
  expect(draft(look).warnings).toContain(
    "locks of prepared transactions stay, whoever is ended, until their owner says COMMIT PREPARED or ROLLBACK PREPARED: 'order 77'",
  );
  expect(draft(lookOf({ limits: full, preparedTransactions: 1, preparedNames: [] })).warnings).toEqual([]);
});

it('the snapshot names every session that is over a limit, and why the others are left alone', () => {
  const text = snapshotText(
    lookOf({
      offenders: [offender(1), query(2)],
      leftAlone: [{ ...offender(9), untouchable: 'superuser' }],
      preparedTransactions: 1,
      groups: [{ user: 'shop_app', application: 'web', state: 'idle', count: 7, since: null }],
    }),
  );
  expect(text).toContain(
    'idle in transaction: pid 1 (report of shop_app) since 2026-11-21 03:10:22: SELECT 1',
  );
  expect(text).toContain('long query: pid 2');
  expect(text).toContain('left alone (superuser): pid 9');
  expect(text).toContain('1 prepared transaction, left alone');
  expect(text).toContain('7 idle: web of shop_app');
});

describe('a role without a limit', () => {
  const unlimited = {
    ...{ role: 'shop_app', used: 80, limit: 77 },
    ...{
      statement: 'ALTER ROLE shop_app CONNECTION LIMIT 77',
      wayBack: 'ALTER ROLE shop_app CONNECTION LIMIT -1',
    },
  };
  const looks = (used: number) =>
    lookOf({ limits: full, offenders: [offender(1)], unlimited: { ...unlimited, used } });

  it('is named in the plan, which stays the same while it has more or fewer connections', () => {
    expect(draft(looks(80)).warnings).toContainEqual(
      expect.stringMatching(/^shop_app has most of the connections and no limit of its own/),
    );
    expect(hash(looks(81))).toBe(hash(looks(80)));
    expect(hash(looks(80))).not.toBe(hash(lookOf({ limits: full, offenders: [offender(1)] })));
  });

  it('is named with the statement where a run can do nothing', () => {
    const bare = { canSetMax: false, canRestart: false };
    expect(() => planRelief(lookOf({ limits: full, unlimited }, bare))).toThrow(
      /shop_app has 80 connections .* ALTER ROLE shop_app CONNECTION LIMIT 77; way back: ALTER ROLE shop_app CONNECTION LIMIT -1$/,
    );
  });

  it('is none of a server that has room', () => {
    const room = lookOf({ limits: [{ name: 'role other', used: 40, limit: 40 }], unlimited });
    expect(draft(room).warnings).toEqual([]);
  });
});

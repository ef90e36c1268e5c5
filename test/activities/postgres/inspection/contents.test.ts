import { Client } from 'pg';
import { createAdditionActivities } from '../../../../src/activities/postgres/inspection/additions';
import { createContentsActivities } from '../../../../src/activities/postgres/inspection/contents-activities';
import {
  compareContents,
  type Contents,
  type TableContents,
} from '../../../../src/activities/postgres/inspection/compare-contents';
import { describeLosses } from '../../../../src/contract/contents';
import {
  runActivity,
  runSql,
  startActivity,
  startTestPostgres,
  type TestDatabase,
} from '../../../support/postgres';
import { duringTests } from '../../../support/stand-in';

const schema = `
  CREATE TABLE items (id int PRIMARY KEY, note text, price int NOT NULL);
  INSERT INTO items SELECT n, CASE WHEN n <= 8 THEN 'note ' || n END, n * 10 FROM generate_series(1, 10) AS n;
  CREATE TABLE plans (name text PRIMARY KEY);
  INSERT INTO plans VALUES ('free'), ('pro');
  CREATE TABLE empty (id int);
  CREATE TABLE visits (day date NOT NULL, page text) PARTITION BY RANGE (day);
  CREATE TABLE visits_may PARTITION OF visits FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
  CREATE TABLE visits_june PARTITION OF visits FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
  INSERT INTO visits VALUES ('2026-05-03', 'a'), ('2026-05-04', 'b'), ('2026-06-01', 'c');
  CREATE SEQUENCE numbers;
  SELECT setval('numbers', 10);
  SELECT lo_from_bytea(4711, 'picture');`;

const server = duringTests(() => startTestPostgres({ template: schema }));

const saving = ({ deps, ref: database }: TestDatabase) => {
  const { saveContents } = createContentsActivities(deps);
  const fence = { target: 'shop/production', token: 1 };
  let step = 0;
  return (id: string, previous: string | null = null) =>
    runActivity(saveContents, { database, id, previous, fence }, { activityId: `${(step += 1)}` });
};

/** What `statements` lose of what there is after `before`. */
async function deltaOf(before: string | undefined, ...statements: string[]) {
  const shop = await server.fresh();
  if (before !== undefined) await runSql(shop.url, before);
  const save = saving(shop);
  await save('before');
  for (const statement of statements) await runSql(shop.url, statement);
  return (await save('after', 'before')).since;
}

it.each([
  ['nothing', 'SELECT 1', ''],
  [
    'what only comes to it',
    `INSERT INTO plans VALUES ('team'); ALTER TABLE items ADD COLUMN x int DEFAULT 1`,
    '',
  ],
  ['a column that is filled', 'ALTER TABLE items ADD COLUMN x int; UPDATE items SET x = price', ''],
  ['other names', 'ALTER TABLE items RENAME COLUMN note TO remark; ALTER TABLE plans RENAME TO tariffs', ''],
  ['a type that writes its values alike', 'ALTER TABLE items ALTER COLUMN price TYPE bigint', ''],
  [
    'a table and a column without a row',
    'CREATE TABLE empty_too (id int) >>> DROP TABLE empty; ALTER TABLE empty_too DROP COLUMN id',
    '',
  ],
  ['a partition that stands alone', 'ALTER TABLE visits DETACH PARTITION visits_may', ''],
  ['rows that move to another partition', `UPDATE visits SET day = day WHERE page = 'a'`, ''],
  ['rows', 'DELETE FROM items WHERE id > 7', '3 rows of public.items'],
  [
    'rows that others replace',
    `DELETE FROM plans; INSERT INTO plans VALUES ('x'), ('y'), ('z')`,
    '2 rows of public.plans',
  ],
  ['all rows', 'TRUNCATE items', '10 rows of public.items'],
  ['a table', 'DROP TABLE items', 'table public.items with 10 rows'],
  ['a partition', 'DROP TABLE visits_may', '2 rows of public.visits'],
  ['a column', 'ALTER TABLE items DROP COLUMN note', 'column public.items.note with 8 values'],
  [
    'values',
    'UPDATE items SET price = 0 WHERE id <= 4',
    'the values of public.items (price) in at most 4 rows',
  ],
  [
    'values, where rows come',
    'UPDATE items SET price = 0 WHERE id = 1; INSERT INTO items VALUES (11, NULL, 1)',
    'the values of public.items in at most 1 row',
  ],
  [
    'values that change their rows',
    `UPDATE items SET price = 30 - price WHERE id <= 2`,
    'the values of public.items (id, note, price) in at most 2 rows',
  ],
  [
    'a type that writes its values otherwise',
    `ALTER TABLE items ALTER COLUMN price TYPE numeric(8,2) USING price / 100.0`,
    'the values of public.items (price)',
  ],
  [
    'numbers of a sequence',
    `SELECT setval('numbers', 3)`,
    'the numbers that sequence public.numbers has given out',
  ],
  ['large objects', 'SELECT lo_unlink(4711)', 'large objects'],
  [
    'all rows, where more come',
    `TRUNCATE plans; INSERT INTO plans SELECT 'new ' || n FROM generate_series(1, 3) AS n`,
    '2 rows of public.plans',
  ],
  [
    'values that a conversion loses, where rows come',
    `ALTER TABLE items ALTER COLUMN note TYPE text USING left(note, 1); INSERT INTO items VALUES (11, 'n', 1)`,
    'the values of public.items in at most 10 rows',
  ],
  [
    'a table that is made anew with other values and more rows',
    `CREATE TABLE anew AS SELECT id, NULL::text AS note, price FROM items UNION ALL SELECT 11, NULL, 0; DROP TABLE items; ALTER TABLE anew RENAME TO items`,
    'the values of public.items in at most 10 rows',
  ],
  [
    'rows of partitions, where more come',
    `DELETE FROM visits; INSERT INTO visits SELECT DATE '2026-05-20' + n, 'new' FROM generate_series(1, 20) AS n`,
    'the values of public.visits in at most 3 rows',
  ],
  [
    'partitions that are emptied, where more come',
    `TRUNCATE visits; INSERT INTO visits SELECT DATE '2026-05-20' + n, 'new' FROM generate_series(1, 20) AS n`,
    'the values of public.visits in at most 3 rows',
  ],
  [
    'a sequence that begins anew',
    'DROP SEQUENCE numbers; CREATE SEQUENCE numbers',
    'the numbers that sequence public.numbers has given out',
  ],
  ['a sequence', 'DROP SEQUENCE numbers', 'the numbers that sequence public.numbers has given out'],
  [
    'a sequence that goes with its table',
    'CREATE TABLE own (id serial, name text); INSERT INTO own (name) VALUES (1) >>> DROP TABLE own',
    'table public.own with 1 row',
  ],
  [
    'an identity that is made anew',
    `CREATE TABLE own (id int GENERATED ALWAYS AS IDENTITY, name text); INSERT INTO own (name) VALUES (1) >>> ALTER TABLE own ALTER id DROP IDENTITY; ALTER TABLE own ALTER id ADD GENERATED ALWAYS AS IDENTITY`,
    'the numbers that sequence public.own_id_seq has given out',
  ],
  [
    'a sequence below zero that begins anew',
    'CREATE SEQUENCE deep MINVALUE -100 START -100; SELECT setval($$deep$$, -5) >>> ALTER SEQUENCE deep RESTART',
    'the numbers that sequence public.deep has given out',
  ],
])('what is lost by %s', async (_what, sql, expected) => {
  const [change = '', before] = sql.split(' >>> ').reverse();
  expect(describeLosses(await deltaOf(before, change))).toBe(expected);
});

describe('a table whose values are too many to be compared', () => {
  const large = (changed: Partial<TableContents> = {}): Contents => ({
    serverStarted: 'then',
    tables: {
      1: {
        ...{ name: 'public.large', root: 'public.large', rows: 1_000, digest: null, file: '10' },
        columns: { note: { number: 1, type: 'text', values: 1_000, digest: null } },
        ...{ inserted: 1_000, updated: 0, deleted: 0 },
        ...changed,
      },
    },
    sequences: {},
    largeObjects: { count: 0, changes: 0 },
  });

  it.each([
    ['is as it was where nothing was written', {}, ''],
    [
      'may have other values where it was written anew',
      { file: '11' },
      'the values of public.large in at most 1000 rows',
    ],
    [
      'has other rows where it was emptied and filled again',
      { file: '11', inserted: 2_000 },
      '1000 rows of public.large',
    ],
    [
      'has other values where rows were updated',
      { updated: 3 },
      'the values of public.large in at most 3 rows',
    ],
  ])('%s', (_what, changed, expected) => {
    expect(describeLosses(compareContents(large(), large(changed)))).toBe(expected);
  });
});

it('says what came to it', async () => {
  const { gained } = await deltaOf(
    undefined,
    `INSERT INTO plans VALUES ('team'); CREATE TABLE more (id int); INSERT INTO more SELECT generate_series(1, 3)`,
  );
  expect(gained).toEqual(['1 row in public.plans', 'table public.more with 3 rows']);
});

it('is none where a way back gives everything back, in whatever order of columns and rows', async () => {
  const delta = await deltaOf(
    undefined,
    'CREATE TABLE kept AS SELECT id, note FROM items; ALTER TABLE items DROP COLUMN note; DELETE FROM plans',
    `ALTER TABLE items ADD COLUMN note text; UPDATE items SET note = kept.note FROM kept WHERE kept.id = items.id; DROP TABLE kept;
     INSERT INTO plans VALUES ('pro'), ('free')`,
  );
  expect(delta).toEqual({ lost: [], more: 0, gained: [] });
});

it('reads a table again that was touched, and no other', async () => {
  const shop = await server.fresh();
  const save = saving(shop);
  const client = new Client({ connectionString: shop.url });
  await client.connect();
  const scans = async () => {
    // Told once a session has ended, or by itself a moment later.
    const { rows } = await client.query<{ relname: string; seq_scan: string }>(
      `SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname IN ('items', 'plans')`,
    );
    return Object.fromEntries(rows.map(({ relname, seq_scan }) => [relname, Number(seq_scan)]));
  };
  try {
    await save('first');
    const before = await scans();
    await runSql(shop.url, `UPDATE plans SET name = 'Pro' WHERE name = 'pro'`);
    const { since } = await save('second', 'first');
    const after = await scans();
    expect([after['items']! - before['items']!, after['plans']! - before['plans']!]).toEqual([0, 1]);
    expect(since.lost).toMatchObject([{ kind: 'values', count: 1 }]);
  } finally {
    await client.end();
  }
});

it('lists the first of many, and counts the others', async () => {
  const shop = await server.fresh();
  await runSql(
    shop.url,
    `DO $$ BEGIN FOR n IN 1..25 LOOP EXECUTE format('CREATE TABLE many_%s AS SELECT 1 AS id', n); END LOOP; END $$`,
  );
  const save = saving(shop);
  await save('before');
  await runSql(
    shop.url,
    `DO $$ BEGIN FOR n IN 1..25 LOOP EXECUTE format('DROP TABLE many_%s', n); END LOOP; END $$`,
  );
  const { lost, more } = (await save('after', 'before')).since;
  expect([lost.length, more]).toEqual([20, 5]);
});

describe('what is in what was added', () => {
  const count = (shop: TestDatabase, objects: string[], patienceMs?: number) =>
    runActivity(createAdditionActivities(shop.deps).countAdditions, {
      ...{ database: shop.ref, objects },
      ...(patienceMs === undefined ? {} : { patienceMs }),
    });

  it('is rows and values, and whether they are others by now', async () => {
    const shop = await server.fresh();
    await runSql(
      shop.url,
      `ALTER TABLE items ADD COLUMN plan text NOT NULL DEFAULT 'free', ADD COLUMN later text; CREATE TABLE found (found int); INSERT INTO found VALUES (1)`,
    );
    const objects = [
      'column public.items.plan',
      'column public.items.later',
      'table public.found',
      'table public.gone',
    ];
    const before = await count(shop, objects);
    expect(Object.entries(before).map(([what, held]) => [what, held?.count])).toEqual([
      ['column public.items.later', 0],
      ['column public.items.plan', 10],
      ['table public.found', 1],
    ]);
    await runSql(shop.url, `UPDATE items SET plan = 'pro' WHERE id = 1; UPDATE found SET found = 2`);
    const after = await count(shop, objects);
    const changed = Object.keys(after).filter((what) => after[what]?.digest !== before[what]?.digest);
    expect(changed).toEqual(['column public.items.plan', 'table public.found']);
  });

  it('is not told where that takes too long, and says meanwhile that it is alive', async () => {
    const shop = await server.fresh();
    await runSql(shop.url, 'CREATE TABLE more (id int); INSERT INTO more SELECT generate_series(1, 300000)');
    const started = startActivity(createAdditionActivities(shop.deps).countAdditions, {
      ...{ database: shop.ref, objects: ['table public.more', 'table public.plans'], patienceMs: 5 },
    });
    expect(await started.result).toEqual({ 'table public.more': null, 'table public.plans': null });
    expect(started.beats.length).toBeGreaterThan(0);
  });
});

it('does not know what was never saved', async () => {
  const shop = await server.fresh();
  const save = saving(shop);
  await save('before');
  await expect(save('after', 'then')).rejects.toThrow(/never saved as then/);
});

import { Client } from 'pg';
import { judge } from '../../../../src/activities/postgres/tuning/unlocked-statements';
import { runActivity } from '../../../support/postgres';
import { freshTuning, useTuning } from './tuning-world';

const pg = useTuning();
const counter = { schema: 'public', relation: 'stock', sold: 'sold', capacity: 'capacity' };
const STOCK = `CREATE TABLE stock (id int PRIMARY KEY, capacity int, sold int); INSERT INTO stock SELECT i, 9, 0 FROM generate_series(1, 9) i`;
const READ = 'SELECT sold, capacity FROM stock WHERE id = 1';
const HELD = `${READ} FOR UPDATE`;

it.each([
  ['SELECT * FROM stock WHERE id = $1', 'reads sold without FOR UPDATE'],
  ['SELECT s.sold FROM public.stock s JOIN other o USING (id)', 'reads sold without FOR UPDATE'],
  ['UPDATE stock SET sold = $1 WHERE id = $2', 'sets sold to a number that was worked out before'],
  ['UPDATE stock SET sold = sold + $1 WHERE id = $2', 'adds to sold without looking at capacity'],
  ['SELECT sold FROM stock WHERE id = $1 FOR UPDATE', undefined],
  ['SELECT capacity FROM stock', undefined],
  ['SELECT sold FROM elsewhere.stock', undefined],
  ['UPDATE stock SET sold = sold + $1 WHERE id = $2 AND sold + $1 <= capacity', undefined],
  ['UPDATE stock SET sold = sold - $1 WHERE id = $2', undefined],
  ['UPDATE stock SET capacity = $1', undefined],
  ['no SQL', undefined],
])('judges %s', async (text, why) => {
  expect((await judge(text, counter))?.why).toBe(why);
});

it('names statements that read and write without a lock, without what was in them, and who has the table', async () => {
  const { db, activities } = await freshTuning(pg, STOCK);
  const find = () => runActivity(activities.findUnlockedStatements, { ...db.place, counter });
  await db.query(READ);
  await db.query(HELD);
  // Nobody writes what was read so: a page that shows it is well.
  expect(await find()).toEqual({ statements: [], open: [] });
  await db.query('UPDATE stock SET sold = 8765 WHERE id = 1 /* token=s3cretword */');
  const { statements, open } = await find();
  expect(statements).toEqual([
    expect.objectContaining({ does: 'writes', calls: 1 }),
    expect.objectContaining({ does: 'reads', text: 'SELECT sold, capacity FROM stock WHERE id = $1' }),
  ]);
  expect(JSON.stringify(statements)).not.toMatch(/8765|s3cretword/);
  expect(open).toEqual([]);
});

it('says who has a transaction on it open', async () => {
  const { db, activities } = await freshTuning(pg, STOCK);
  const buyer = new Client({ connectionString: pg.urlOf(db.name), application_name: 'shop' });
  await buyer.connect();
  try {
    await buyer.query('BEGIN; UPDATE stock SET sold = 1 WHERE id = 1');
    const { open } = await runActivity(activities.findUnlockedStatements, { ...db.place, counter });
    expect(open).toEqual([
      expect.objectContaining({ session: 'shop', state: 'idle in transaction', modes: ['RowExclusiveLock'] }),
    ]);
  } finally {
    await buyer.end();
  }
});

it('says that nobody counts where nobody does', async () => {
  const { db, activities } = await freshTuning(pg, `${STOCK}`);
  await db.query('DROP EXTENSION pg_stat_statements');
  const found = await runActivity(activities.findUnlockedStatements, { ...db.place, counter });
  expect(found).toEqual({ missing: 'CREATE EXTENSION pg_stat_statements;', statements: [], open: [] });
});

import { Client } from 'pg';
import { runActivity, startActivity, until, type TestPostgres } from '../../support/postgres';
import {
  cancelDoubled,
  findDoubled,
  firstStays,
  freshWorld,
  sellOften,
  startBookingServer,
  type World,
} from './bookings-world';

let pg: TestPostgres;
const clients: Client[] = [];
beforeAll(async () => {
  pg = await startBookingServer();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(() => pg?.stop());

async function customer({ db }: World): Promise<Client> {
  const client = new Client({ connectionString: pg.urlOf(db.name), application_name: 'customer' });
  clients.push(client);
  await client.connect();
  return client;
}

describe('the unique index', () => {
  it('is built, also over what a failed build left, and dropped again', async () => {
    const world = await freshWorld(pg);
    const { fence } = world.repair;
    const index = (what: 'buildUniqueIndex' | 'dropUniqueIndex') =>
      runActivity(world.activities[what], { ...world.db.place, fence });
    await sellOften(world, 1, 1);
    // Somebody has sold it again: no reason to take anything back.
    expect(await index('buildUniqueIndex')).toMatchObject({
      state: 'missing',
      detail: expect.stringMatching(
        /^a slot was sold twice again before index .* was built, so it was not; start again$/,
      ),
    });
    expect(await world.db.query('SELECT FROM durable_runbooks.index_claim')).toEqual([]);
    expect((await findDoubled(world)).index.state).toBe('missing');
    await world.db
      .query(
        `CREATE UNIQUE INDEX CONCURRENTLY idx_bookings_one_confirmed_per_slot ON bookings (slot_id) WHERE status = 'confirmed'`,
      )
      .catch(() => undefined);
    const { conflicts, index: found } = await findDoubled(world);
    expect(found.state).toBe('invalid');
    await cancelDoubled(world, firstStays(conflicts));
    expect((await index('buildUniqueIndex')).state).toBe('present');
    expect((await index('dropUniqueIndex')).state).toBe('missing');
  });

  it('is not dropped where somebody else has built it', async () => {
    const world = await freshWorld(pg);
    const input = { ...world.db.place, fence: world.repair.fence };
    await runActivity(world.activities.buildUniqueIndex, input);
    expect(await runActivity(world.activities.dropUniqueIndex, input)).toMatchObject({
      state: 'present',
      detail: 'index idx_bookings_one_confirmed_per_slot stays: somebody else has built it',
    });
  });

  it('is left to whoever builds it at this moment', async () => {
    const world = await freshWorld(pg);
    const input = { ...world.db.place, fence: world.repair.fence };
    await world.db.query('DROP INDEX idx_bookings_one_confirmed_per_slot');
    const [old, other] = [await customer(world), await customer(world)];
    await old.query(
      'BEGIN; UPDATE bookings SET party_size = 1 WHERE false; LOCK TABLE slots IN ROW EXCLUSIVE MODE',
    );
    await old.query(
      `INSERT INTO bookings (customer_id, status, price_cents, confirmed_at) VALUES (1, 'confirmed', 1, now())`,
    );
    const building = other.query(
      `CREATE UNIQUE INDEX CONCURRENTLY idx_bookings_one_confirmed_per_slot ON bookings (slot_id) WHERE status = 'confirmed'`,
    );
    await until(async () => (await findDoubled(world)).index.state === 'building');
    const running = startActivity(world.activities.buildUniqueIndex, input);
    await until(async () => {
      const looked = await world.db.query(
        `SELECT FROM pg_stat_activity WHERE application_name LIKE 'dr:%' AND datname = current_database()
            AND query LIKE '%pg_stat_progress_create_index%'`,
      );
      return looked.length > 0;
    });
    const [before] = await world.db.query(
      `SELECT 'idx_bookings_one_confirmed_per_slot'::regclass::oid AS oid`,
    );
    await old.query('COMMIT');
    await building;
    expect(await running.result).toMatchObject({ state: 'present' });
    expect(
      await world.db.query(`SELECT 'idx_bookings_one_confirmed_per_slot'::regclass::oid AS oid`),
    ).toEqual([before]);
    // Not ours, so the way back leaves it.
    expect(await runActivity(world.activities.dropUniqueIndex, input)).toMatchObject({ state: 'present' });
  });

  it.each<[string, string, string]>([
    ['other bookings', `(slot_id) WHERE status = 'cancelled'`, 'other'],
    ['fewer bookings', `(slot_id) WHERE status = 'confirmed' AND party_size > 2`, 'other'],
    ['more bookings', `(slot_id) WHERE status IN ('confirmed', 'held')`, 'present'],
    ['other columns', `(slot_id, customer_id) WHERE status = 'confirmed'`, 'other'],
  ])('of the right name over %s', async (_, definition, state) => {
    const world = await freshWorld(pg);
    const name = 'idx_bookings_one_confirmed_per_slot';
    await world.db.query(`DROP INDEX ${name}; CREATE UNIQUE INDEX ${name} ON bookings ${definition}`);
    const { index } = await findDoubled(world);
    expect(index.state).toBe(state);
    if (state === 'other')
      expect(index.detail).toMatch(/is another one .* give that another name or drop it first$/);
  });

  it('cannot be had where the table is partitioned', async () => {
    const world = await freshWorld(
      pg,
      { role: undefined, tables: { bookings: {} } },
      `CREATE TABLE parts (LIKE bookings INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
       CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
       ALTER TABLE bookings RENAME TO whole; ALTER TABLE parts RENAME TO bookings; GRANT ALL ON bookings TO booking_owner`,
    );
    expect((await findDoubled(world)).index).toMatchObject({
      state: 'impossible',
      statement: '',
      detail: expect.stringMatching(/is partitioned, and no unique index of it can be on "slot_id" alone/),
    });
  });
});

import { CANCEL_STEP, RELEASE_STEP } from '../../../src/contract/bookings';
import { failureOf, runActivity, startActivity, until } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';
import {
  auditOf,
  cancelDoubled,
  findDoubled,
  firstStays,
  freshWorld,
  leaveHolds,
  lookForHolds,
  OTHER,
  OTHER_SCHEMA,
  releaseHolds,
  rowsOf,
  sellOften,
  startBookingServer,
  undoRepair,
  useCustomers,
} from './bookings-world';

const pg = duringTests(startBookingServer);
const customer = useCustomers(pg);

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

describe('the role of repairs', () => {
  it('can write nothing but what a repair writes', async () => {
    const world = await freshWorld(pg);
    await leaveHolds(world, 1);
    await releaseHolds(world);
    const writes = await world.db.query<{ what: string }>(
      `SELECT format('%s %s', c.relname, right_) AS what FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
              unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS right_
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname IN ('public', 'durable_runbooks')
          AND (has_table_privilege('runbooks_repair', c.oid, right_)
               OR right_ IN ('INSERT', 'UPDATE') AND has_any_column_privilege('runbooks_repair', c.oid, right_)) ORDER BY 1`,
    );
    expect(writes.map(({ what }) => what)).toEqual([
      'action_tokens UPDATE',
      'audit_logs INSERT',
      'bookings UPDATE',
      'change_log INSERT',
      'change_log UPDATE',
      'slots UPDATE',
    ]);
    const other = await customer(world);
    await other.query('SET ROLE runbooks_repair');
    for (const sql of [
      'UPDATE payments SET status = status',
      'DELETE FROM bookings',
      'UPDATE bookings SET price_cents = 0',
      'DELETE FROM audit_logs',
      'UPDATE durable_runbooks.fence SET token = 0',
      'SELECT FROM customers',
      'CREATE TABLE public.mine ()',
    ])
      await expect(other.query(sql)).rejects.toMatchObject({ code: '42501' });
  });

  it('is refused what it could not put back, whatever column a trigger has set', async () => {
    const world = await freshWorld(pg);
    await leaveHolds(world, 1);
    const before = await rowsOf(world);
    await world.db.query('REVOKE UPDATE (updated_at) ON bookings FROM runbooks_repair');
    expect(await failureOf(releaseHolds(world))).toMatchObject({
      type: 'MissingPrivilege',
      message: expect.stringContaining('GRANT UPDATE (updated_at) ON "public"."bookings" TO runbooks_repair'),
    });
    expect(await rowsOf(world)).toEqual(before);
    expect(await auditOf(world)).toEqual([]);
    await world.db.query('GRANT UPDATE (updated_at) ON bookings TO runbooks_repair');
    expect(await releaseHolds(world)).toEqual({ done: 1, left: [] });
  });

  it('is what the rows are changed as, and is refused when it can write more', async () => {
    const world = await freshWorld(pg);
    await leaveHolds(world, 1);
    await world.db.query('REVOKE UPDATE (status) ON slots FROM runbooks_repair');
    expect((await failureOf(releaseHolds(world))).message).toMatch(/permission denied for table slots/);
    expect((await lookForHolds(world)).count).toBe(1);
    await world.db.query(
      'GRANT UPDATE (status) ON slots TO runbooks_repair; GRANT DELETE ON customers TO runbooks_repair',
    );
    expect(await failureOf(lookForHolds(world))).toMatchObject({
      type: 'RepairRoleInvalid',
      message: expect.stringMatching(/can also write public.customers; REVOKE that/),
    });
    const strange = await freshWorld(pg, { role: 'nobody_here' });
    expect((await failureOf(lookForHolds(strange))).message).toMatch(/Role nobody_here, .* does not exist/);
  });
});

describe('tables by another name', () => {
  it('are repaired and put back as well: other names, keys, states, and times without a zone', async () => {
    const world = await freshWorld(pg, OTHER, OTHER_SCHEMA);
    const rows = () =>
      world.db.query(
        `SELECT r.*::text, u.state FROM "Shop"."Reservation" r JOIN "Shop"."Unit" u ON "unitId" = unit ORDER BY no`,
      );
    const before = await rows();
    const { conflicts, index, unconfigured } = await findDoubled(world);
    expect(conflicts).toEqual([
      { slot: '1', bookings: [expect.objectContaining({ id: '2' }), expect.objectContaining({ id: '1' })] },
    ]);
    expect(unconfigured).toEqual([
      expect.stringMatching(/by when it was created: no column confirmedAt is configured$/),
      expect.stringMatching(/^links of customers stay good/),
      'no row of "Shop"."Unit" is "FREE": look whether states.open is what the application calls it',
    ]);
    expect(index.statement).toContain(
      '"one sale a ""unit""" ON "Shop"."Reservation" ("unit") WHERE "State" = \'CONFIRMED\'',
    );
    expect(await cancelDoubled(world, firstStays(conflicts))).toEqual({ done: 1, left: [] });
    expect(await releaseHolds(world)).toEqual({ done: 1, left: [] });
    const states = await world.db.query(`SELECT "State" AS state FROM "Shop"."Reservation" ORDER BY no`);
    // The other hold of unit 2 is still good, so that stays taken.
    expect(states.map(({ state }) => state)).toEqual(['CANCELLED', 'CONFIRMED', 'EXPIRED', 'HOLD']);
    const fence = world.repair.fence;
    expect((await runActivity(world.activities.buildUniqueIndex, { ...world.db.place, fence })).state).toBe(
      'present',
    );
    await runActivity(world.activities.dropUniqueIndex, { ...world.db.place, fence });
    await undoRepair(world, RELEASE_STEP);
    await undoRepair(world, CANCEL_STEP);
    expect(await rows()).toEqual(before);
  });

  it('that are not there are all named before anything is locked', async () => {
    const world = await freshWorld(pg, {
      tables: {
        bookings: { columns: { slot: 'slot', expiresAt: 'expires_at' } },
        slots: { table: 'slot_availability', columns: { id: 'slot_id' } },
        audit: { table: 'audit_log' },
        links: { columns: { id: 'purpose' } },
      },
    });
    const { type, message } = await failureOf(findDoubled(world));
    expect(type).toBe('MappingInvalid');
    for (const problem of [
      'services.shop.bookings.tables.bookings.columns.slot: public.bookings has no column "slot"; it has id, customer_id, slot_id',
      'tables.slots: public.slot_availability is no table',
      'tables.audit: there is no table public.audit_log',
      'tables.links.columns.id: "purpose" is not unique in public.action_tokens',
    ])
      expect(message).toContain(problem);
  });
});

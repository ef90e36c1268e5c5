import { CANCEL_STEP } from '../../../src/contract/bookings';
import { failureOf } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';
import {
  auditOf,
  cancelDoubled,
  findDoubled,
  firstStays,
  freshWorld,
  rowsOf,
  sellOften,
  startBookingServer,
  statesOf,
  undoRepair,
} from './bookings-world';
import { beforeLastOf } from './statements';

const pg = duringTests(startBookingServer);
afterEach(() => jest.restoreAllMocks());
const CHANGE = /UPDATE "public"\."bookings"/;

describe('double bookings', () => {
  it('are found, the first confirmed one first; a booking without a slot conflicts with none', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 3, 4, 3);
    await world.db.query(`INSERT INTO bookings (customer_id, status, price_cents, confirmed_at)
                          SELECT 1, 'confirmed', 1, now() FROM generate_series(1, 3);
                          INSERT INTO bookings (customer_id, status, price_cents, expires_at)
                          SELECT 1, unnest(ARRAY['held', 'cancelled']), 1, now() + interval '1 day'`);
    const { conflicts, index, unconfigured } = await findDoubled(world);
    expect(conflicts.map(({ slot, bookings }) => [slot, bookings.map((one) => one.customer)])).toEqual([
      ['3', ['1', '2', '3']],
      ['4', ['1', '2', '3']],
    ]);
    expect(index).toMatchObject({
      state: 'missing',
      statement: `CREATE UNIQUE INDEX CONCURRENTLY "idx_bookings_one_confirmed_per_slot" ON "public"."bookings" ("slot_id") WHERE "status" = 'confirmed'`,
    });
    expect(unconfigured).toEqual([]);
  });

  it('end with one booking a slot, void links, a slot that stays reserved and an audit row; undo is exact', async () => {
    const world = await freshWorld(pg, { batchRows: 2 });
    await sellOften(world, 1, 3);
    await world.db.query(`UPDATE slots SET status = 'open' WHERE id = 2`);
    const before = await rowsOf(world);
    const { conflicts } = await findDoubled(world);
    expect(await cancelDoubled(world, firstStays(conflicts))).toEqual({ done: 3, left: [] });
    // An attempt whose answer was lost has done it.
    expect(await cancelDoubled(world, firstStays(conflicts), 2)).toEqual({ done: 3, left: [] });
    expect(await statesOf(world, 1)).toEqual([{ status: 'confirmed' }, { status: 'cancelled' }]);
    const slots = await world.db.query(`SELECT status FROM slots WHERE id < 5 ORDER BY id`);
    expect(slots.map(({ status }) => status)).toEqual(['reserved', 'reserved', 'reserved', 'open']);
    const [{ open }] = (await world.db.query(
      `SELECT count(*)::int AS open FROM action_tokens JOIN bookings ON bookings.id = booking_id
        WHERE used_at IS NULL AND status = 'cancelled'`,
    )) as [{ open: number }];
    expect(open).toBe(0);
    const [first] = conflicts;
    expect((await auditOf(world))[0]).toEqual({
      entity_id: first!.bookings[1]!.id,
      action: 'booking_cancelled',
      source: 'system',
      details: { reason: 'double booking', slot: '1', kept: first!.bookings[0]!.id, run: 'run-1' },
    });
    expect((await findDoubled(world)).conflicts).toEqual([]);
    expect(await undoRepair(world, CANCEL_STEP)).toEqual({ done: 3, left: [] });
    expect(await rowsOf(world)).toEqual(before);
    expect((await auditOf(world)).map(({ action }) => action)).toEqual([
      ...Array<string>(3).fill('booking_cancelled'),
      ...Array<string>(3).fill('booking_restored'),
    ]);
    expect(await undoRepair(world, CANCEL_STEP)).toEqual({ done: 3, left: [] });
    expect(await auditOf(world)).toHaveLength(6);
  });

  it('of which a booking was changed since are left alone, with all others of their slot', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 3);
    const { conflicts } = await findDoubled(world);
    const [, kept, gone] = conflicts;
    await world.db.query(`UPDATE bookings SET party_size = 3 WHERE id = $1`, [kept!.bookings[0]!.id]);
    await world.db.query(`DELETE FROM action_tokens WHERE booking_id = $1`, [gone!.bookings[1]!.id]);
    await world.db.query(`DELETE FROM bookings WHERE id = $1`, [gone!.bookings[1]!.id]);
    const { done, left } = await cancelDoubled(world, firstStays(conflicts));
    expect(done).toBe(1);
    expect(left).toEqual([
      { unit: 'slot 2', why: `booking ${kept!.bookings[0]!.id} was changed since it was looked at` },
      { unit: 'slot 3', why: `booking ${gone!.bookings[1]!.id} is gone since it was looked at` },
    ]);
    expect(await statesOf(world, 2)).toEqual([{ status: 'confirmed' }, { status: 'confirmed' }]);
  });

  it('are not brought back over what somebody changed since, and the undo says which', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 3);
    const { conflicts } = await findDoubled(world);
    await cancelDoubled(world, firstStays(conflicts));
    const changed = conflicts[1]!.bookings[1]!.id;
    await world.db.query(`UPDATE bookings SET price_cents = 5 WHERE id = $1`, [changed]);
    const { done, left } = await undoRepair(world, CANCEL_STEP);
    expect(done).toBe(2);
    expect(left).toEqual([
      { unit: 'slot 2', why: `"public"."bookings" ${changed} was changed since: price_cents, updated_at` },
    ]);
    expect((await statesOf(world, 2)).map(({ status }) => status)).toEqual(['confirmed', 'cancelled']);
    expect((await statesOf(world, 3)).map(({ status }) => status)).toEqual(['confirmed', 'confirmed']);
  });

  it('are not brought back where the booking that was kept ended since', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 1);
    const { conflicts } = await findDoubled(world);
    await cancelDoubled(world, firstStays(conflicts));
    const kept = conflicts[0]!.bookings[0]!.id;
    await world.db.query(`UPDATE bookings SET status = 'cancelled' WHERE id = $1`, [kept]);
    await world.db.query(`UPDATE slots SET status = 'open' WHERE id = 1`);
    expect(await undoRepair(world, CANCEL_STEP)).toEqual({
      done: 0,
      left: [{ unit: 'slot 1', why: expect.stringMatching(/was changed since: status/) }],
    });
    expect(await statesOf(world, 1)).toEqual([{ status: 'cancelled' }, { status: 'cancelled' }]);
  });

  it('are not said to be as before while a COMMIT of theirs is on its way', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 1);
    const before = await rowsOf(world);
    const { conflicts } = await findDoubled(world);
    let early: Awaited<ReturnType<typeof failureOf>> | undefined;
    beforeLastOf([CHANGE, /^COMMIT/], async () => {
      early = await failureOf(undoRepair(world, CANCEL_STEP));
    });
    expect(await cancelDoubled(world, firstStays(conflicts))).toEqual({ done: 1, left: [] });
    expect(early?.type).toBe('FenceBusy');
    expect(await undoRepair(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
    expect(await rowsOf(world)).toEqual(before);
  });

  it('are not gone on with by a worker that was frozen while they were taken back', async () => {
    const world = await freshWorld(pg, { batchRows: 2 });
    await sellOften(world, 1, 2);
    const before = await rowsOf(world);
    const { conflicts } = await findDoubled(world);
    beforeLastOf([CHANGE, /^COMMIT/, /^BEGIN/], async () => {
      expect(await undoRepair(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
    });
    expect(await failureOf(cancelDoubled(world, firstStays(conflicts)))).toMatchObject({
      type: 'StaleFencingToken',
      message: expect.stringMatching(/was taken back meanwhile/),
    });
    expect(await rowsOf(world)).toEqual(before);
  });

  it('are not cancelled again by a run that was reset after it had taken them back', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 1);
    const before = await rowsOf(world);
    const resolutions = firstStays((await findDoubled(world)).conflicts);
    await cancelDoubled(world, resolutions);
    await undoRepair(world, CANCEL_STEP);
    const again = firstStays((await findDoubled(world)).conflicts);
    expect(await failureOf(cancelDoubled(world, again))).toMatchObject({
      type: 'StaleFencingToken',
      message: expect.stringMatching(/Start a new run\.$/),
    });
    expect(await rowsOf(world)).toEqual(before);
    const anew = { ...world, repair: { ...world.repair, run: 'run-2' } };
    expect(await cancelDoubled(anew, again)).toEqual({ done: 1, left: [] });
    expect(await undoRepair(anew, CANCEL_STEP)).toEqual({ done: 1, left: [] });
    expect(await rowsOf(world)).toEqual(before);
  });

  it('go back with triggers for what is new: one that seals the audit trail', async () => {
    const world = await freshWorld(pg);
    await world.db.query(
      `ALTER TABLE audit_logs ADD COLUMN seal text;
       CREATE FUNCTION seal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seal := md5(NEW.entity_id); RETURN NEW; END $$;
       CREATE TRIGGER seals BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION seal()`,
    );
    await sellOften(world, 1, 1);
    const before = await rowsOf(world);
    await cancelDoubled(world, firstStays((await findDoubled(world)).conflicts));
    expect(await undoRepair(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
    expect(await rowsOf(world)).toEqual(before);
    expect(
      await world.db.query('SELECT action, seal IS NOT NULL AS sealed FROM audit_logs ORDER BY id'),
    ).toEqual([
      { action: 'booking_cancelled', sealed: true },
      { action: 'booking_restored', sealed: true },
    ]);
  });

  it('are never more than the cap, and never none', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 3);
    const resolutions = firstStays((await findDoubled(world)).conflicts);
    world.db.deps.config.services['shop']!.maxDestructive = 2;
    const tooMany = await failureOf(cancelDoubled(world, resolutions));
    expect([tooMany.type, tooMany.nonRetryable]).toEqual(['TooManyTargets', true]);
    expect((await failureOf(findDoubled(world))).type).toBe('TooManyTargets');
    expect((await failureOf(cancelDoubled(world, []))).type).toBe('EmptySelection');
    expect(await auditOf(world)).toEqual([]);
  });

  it('are refused to a run that lost its lease', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 1);
    const resolutions = firstStays((await findDoubled(world)).conflicts);
    const later = { ...world, repair: { ...world.repair, fence: { target: 'shop/production', token: 2 } } };
    await cancelDoubled(later, resolutions);
    expect((await failureOf(undoRepair(world, CANCEL_STEP))).type).toBe('StaleFencingToken');
  });
});

describe('going back without the right to pass the triggers', () => {
  it('is warned of in the plan, and says what refused it', async () => {
    const world = await freshWorld(pg);
    await sellOften(world, 1, 1);
    const right = (verb: string) =>
      world.db.query(
        `${verb} SET ON PARAMETER session_replication_role ${verb === 'GRANT' ? 'TO' : 'FROM'} runbooks_migrator`,
      );
    await right('REVOKE');
    try {
      const { conflicts, unconfigured } = await findDoubled(world);
      expect(unconfigured).toContainEqual(
        expect.stringMatching(/our role may not SET session_replication_role$/),
      );
      await cancelDoubled(world, firstStays(conflicts));
      const { message } = await failureOf(undoRepair(world, CANCEL_STEP));
      expect(message).toMatch(/booking .* cannot go from cancelled to confirmed/);
    } finally {
      await right('GRANT');
    }
    expect(await undoRepair(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
  });
});

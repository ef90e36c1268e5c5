import { Client } from 'pg';
import { CANCEL_STEP, RELEASE_STEP } from '../../../src/contract/bookings';
import { failureOf, runActivity, startActivity, type TestPostgres } from '../../support/postgres';
import {
  auditOf,
  cancelDoubled,
  findDoubled,
  firstStays,
  freshWorld,
  leaveHolds,
  OTHER,
  OTHER_SCHEMA,
  rowsOf,
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
  jest.restoreAllMocks();
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(() => pg?.stop());

async function customer({ db }: World): Promise<Client> {
  const client = new Client({ connectionString: pg.urlOf(db.name), application_name: 'customer' });
  clients.push(client);
  await client.connect();
  return client;
}

const undo = ({ activities, repair }: World, step: string) =>
  runActivity(activities.undoBookingRepair, { ...repair, step }, { activityId: '9' });
const lookForHolds = ({ activities, db }: World) => runActivity(activities.findStuckHolds, db.place);
const release = async (world: World, attempt = 1) => {
  const { cutoff } = await lookForHolds(world);
  return runActivity(world.activities.releaseStuckHolds, { ...world.repair, cutoff, most: 100 }, { attempt });
};
const statesOf = ({ db }: World, slot: number) =>
  db.query<{ status: string }>(`SELECT status FROM bookings WHERE slot_id = ${slot} ORDER BY confirmed_at`);

/** Calls back right before the session of an activity sends its statement number `at`. */
function beforeStatement(at: number, hook: () => Promise<void>): void {
  let sent = 0;
  const driver = Client.prototype as unknown as { query: (...args: unknown[]) => Promise<unknown> };
  const { query } = driver;
  jest.spyOn(driver, 'query').mockImplementation(async function (this: unknown, ...args: unknown[]) {
    const { application_name: name } = (this as { connectionParameters: { application_name: string } })
      .connectionParameters;
    if (name.startsWith('dr:')) {
      sent += 1;
      if (sent === at) await hook();
    }
    return query.apply(this, args);
  });
}

/** Calls back right before the session of an activity sends the last of these, after all others in this order. */
function beforeLastOf(patterns: RegExp[], hook: () => Promise<void>): void {
  const pending = [...patterns];
  const driver = Client.prototype as unknown as { query: (...args: unknown[]) => Promise<unknown> };
  const { query } = driver;
  jest.spyOn(driver, 'query').mockImplementation(async function (this: unknown, ...args: unknown[]) {
    if (typeof args[0] === 'string' && pending[0]?.test(args[0]) === true) {
      pending.shift();
      if (pending.length === 0) await hook();
    }
    return query.apply(this, args);
  });
}
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
    expect(await undo(world, CANCEL_STEP)).toEqual({ done: 3, left: [] });
    expect(await rowsOf(world)).toEqual(before);
    expect((await auditOf(world)).map(({ action }) => action)).toEqual([
      ...Array<string>(3).fill('booking_cancelled'),
      ...Array<string>(3).fill('booking_restored'),
    ]);
    expect(await undo(world, CANCEL_STEP)).toEqual({ done: 3, left: [] });
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
    const { done, left } = await undo(world, CANCEL_STEP);
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
    expect(await undo(world, CANCEL_STEP)).toEqual({
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
      early = await failureOf(undo(world, CANCEL_STEP));
    });
    expect(await cancelDoubled(world, firstStays(conflicts))).toEqual({ done: 1, left: [] });
    expect(early?.type).toBe('FenceBusy');
    expect(await undo(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
    expect(await rowsOf(world)).toEqual(before);
  });

  it('are not gone on with by a worker that was frozen while they were taken back', async () => {
    const world = await freshWorld(pg, { batchRows: 2 });
    await sellOften(world, 1, 2);
    const before = await rowsOf(world);
    const { conflicts } = await findDoubled(world);
    beforeLastOf([CHANGE, /^COMMIT/, /^BEGIN/], async () => {
      expect(await undo(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
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
    await undo(world, CANCEL_STEP);
    const again = firstStays((await findDoubled(world)).conflicts);
    expect(await failureOf(cancelDoubled(world, again))).toMatchObject({
      type: 'StaleFencingToken',
      message: expect.stringMatching(/Start a new run\.$/),
    });
    expect(await rowsOf(world)).toEqual(before);
    const anew = { ...world, repair: { ...world.repair, run: 'run-2' } };
    expect(await cancelDoubled(anew, again)).toEqual({ done: 1, left: [] });
    expect(await undo(anew, CANCEL_STEP)).toEqual({ done: 1, left: [] });
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
    expect(await undo(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
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
    expect((await failureOf(undo(world, CANCEL_STEP))).type).toBe('StaleFencingToken');
  });
});

describe('stuck holds', () => {
  it('are released with their slots and links; what is no such hold stays; undo is exact', async () => {
    const world = await freshWorld(pg, { batchRows: 2 });
    await leaveHolds(world, 1, 5);
    await sellOften(world, 6, 6, 1);
    const [young] = await leaveHolds(world, 7);
    await world.db.query(`UPDATE bookings SET expires_at = now() + interval '1 min' WHERE id = $1`, [young]);
    const before = await rowsOf(world);
    const { count, sample } = await lookForHolds(world);
    expect([count, sample.length]).toEqual([5, 5]);
    expect(await release(world)).toEqual({ done: 5, left: [] });
    const slots = await world.db.query(
      `SELECT id::int, status FROM slots WHERE id < 8 AND status <> 'open' ORDER BY id`,
    );
    expect(slots.map(({ id }) => id)).toEqual([6, 7]);
    expect((await auditOf(world)).map(({ action }) => action)).toEqual(Array(5).fill('booking_expired'));
    expect(await undo(world, RELEASE_STEP)).toEqual({ done: 5, left: [] });
    expect(await rowsOf(world)).toEqual(before);
  });

  it('go back with what triggers of the application did to their slots', async () => {
    const world = await freshWorld(pg);
    await world.db.query(
      `CREATE FUNCTION free() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE slots SET status = 'open' WHERE id = NEW.slot_id; RETURN NEW; END $$;
       CREATE TRIGGER frees AFTER UPDATE ON bookings FOR EACH ROW WHEN (NEW.status = 'expired') EXECUTE FUNCTION free()`,
    );
    await world.db.query(
      `CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE resources SET name = name; RETURN NEW; END $$;
       CREATE TRIGGER counts BEFORE UPDATE ON slots FOR EACH ROW EXECUTE FUNCTION count_up();
       CREATE FUNCTION look_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
       CREATE TRIGGER looks BEFORE UPDATE ON slots FOR EACH ROW EXECUTE FUNCTION look_on();
       ALTER TABLE slots ENABLE ALWAYS TRIGGER looks; GRANT UPDATE ON resources TO PUBLIC`,
    );
    await leaveHolds(world, 1, 2);
    const before = await rowsOf(world);
    await world.db.query('REVOKE UPDATE ON resources FROM PUBLIC');
    const { unconfigured } = await lookForHolds(world);
    expect(unconfigured).toContainEqual(
      expect.stringMatching(/passes the triggers .*: counts on slots, frees on bookings$/),
    );
    expect(unconfigured).toContainEqual(
      expect.stringMatching(/^triggers that always fire .*: looks on slots$/),
    );
    await world.db.query('DROP TRIGGER counts ON slots');
    expect(await release(world)).toEqual({ done: 2, left: [] });
    expect(await world.db.query('SELECT DISTINCT status FROM slots WHERE id < 3')).toEqual([
      { status: 'open' },
    ]);
    expect(await undo(world, RELEASE_STEP)).toEqual({ done: 2, left: [] });
    expect(await rowsOf(world)).toEqual(before);
  });

  it('leave a slot reserved that somebody is booking at this moment', async () => {
    const world = await freshWorld(pg);
    await leaveHolds(world, 1);
    const other = await customer(world);
    await other.query('BEGIN');
    await other.query(
      `INSERT INTO bookings (customer_id, slot_id, status, price_cents, confirmed_at) VALUES (2, 1, 'confirmed', 1, now())`,
    );
    const running = release(world);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await other.query('COMMIT');
    expect(await running).toEqual({ done: 1, left: [] });
    expect(await world.db.query('SELECT status FROM slots WHERE id = 1')).toEqual([{ status: 'reserved' }]);
  });

  it('get another round after a first one that took long', async () => {
    const world = await freshWorld(pg, { batchRows: 4 });
    const holds = await leaveHolds(world, 1, 4);
    const other = await customer(world);
    await other.query('BEGIN');
    await other.query('SELECT FROM action_tokens WHERE booking_id = $1 FOR UPDATE', [holds[0]]);
    const { now } = Date;
    let lateMs = 0;
    jest.spyOn(Date, 'now').mockImplementation(() => now() + lateMs);
    beforeLastOf([/SKIP LOCKED/], async () => {
      lateMs = 20_000;
      await Promise.resolve();
    });
    const running = release(world);
    const freed = async () =>
      (await world.db.query(`SELECT FROM bookings WHERE status = 'expired'`)).length === 3;
    while (!(await freed())) await new Promise((resolve) => setTimeout(resolve, 20));
    await other.query('COMMIT');
    expect(await running).toEqual({ done: 4, left: [] });
  });

  it('leave a slot alone that somebody else has by then', async () => {
    const world = await freshWorld(pg);
    await leaveHolds(world, 1);
    await sellOften(world, 1, 1, 1);
    await release(world);
    expect(await world.db.query('SELECT status FROM slots WHERE id = 1')).toEqual([{ status: 'reserved' }]);
    expect(await statesOf(world, 1)).toEqual([{ status: 'confirmed' }, { status: 'expired' }]);
  });

  it('are never touched when they are confirmed meanwhile, at whatever moment', async () => {
    const world = await freshWorld(pg);
    const other = await customer(world);
    const seen = { confirmed: 0, released: 0 };
    for (let at = 1; ; at += 1) {
      const [id] = await leaveHolds(world, at);
      const { cutoff } = await lookForHolds(world);
      let racing: Promise<number | null> | undefined;
      beforeStatement(at, async () => {
        racing = other
          .query(
            `UPDATE bookings SET status = 'confirmed', confirmed_at = now(), expires_at = NULL WHERE id = $1 AND status = 'held'`,
            [id],
          )
          .then(({ rowCount }) => rowCount);
        await Promise.race([racing, new Promise((resolve) => setTimeout(resolve, 40))]);
      });
      const input = { ...world.repair, run: `run-${at}`, cutoff, most: 10 };
      const { done } = await runActivity(world.activities.releaseStuckHolds, input);
      jest.restoreAllMocks();
      if (racing === undefined) break;
      const confirmed = (await racing) === 1;
      const [row] = await world.db.query(
        `SELECT b.status, s.status AS slot, (SELECT count(*)::int FROM audit_logs WHERE entity_id = b.id::text) AS audited
           FROM bookings b JOIN slots s ON s.id = slot_id WHERE b.id = $1`,
        [id],
      );
      const expected = confirmed
        ? { status: 'confirmed', slot: 'reserved', audited: 0 }
        : { status: 'expired', slot: 'open', audited: 1 };
      expect([at, row]).toEqual([at, expected]);
      expect([at, done]).toEqual([at, confirmed ? 0 : 1]);
      seen[confirmed ? 'confirmed' : 'released'] += 1;
    }
    // Before its row is locked, and afterwards.
    expect(seen.confirmed).toBeGreaterThan(5);
    expect(seen.released).toBeGreaterThan(5);
  });

  it('that somebody has locked are passed over and looked at again, and nobody is waited for', async () => {
    const world = await freshWorld(pg);
    const [locked] = await leaveHolds(world, 1, 3);
    const other = await customer(world);
    await other.query('BEGIN');
    await other.query('SELECT FROM bookings WHERE id = $1 FOR UPDATE', [locked]);
    const running = release(world);
    const freed = async () =>
      (await world.db.query(`SELECT FROM slots WHERE id < 4 AND status = 'open'`)).length === 2;
    while (!(await freed())) await new Promise((resolve) => setTimeout(resolve, 20));
    await other.query(
      `UPDATE bookings SET status = 'confirmed', confirmed_at = now(), expires_at = NULL WHERE id = $1`,
      [locked],
    );
    await other.query('COMMIT');
    expect(await running).toEqual({
      done: 2,
      left: [{ unit: `booking ${locked}`, why: 'it is no hold any more, or ends later now' }],
    });
  });

  it('go on without the one whose link somebody has locked, in batches that are never larger than they may be', async () => {
    const world = await freshWorld(pg, { batchRows: 8 });
    const holds = await leaveHolds(world, 1, 20);
    const { cutoff } = await lookForHolds(world);
    const other = await customer(world);
    await other.query('BEGIN');
    await other.query('SELECT FROM action_tokens WHERE booking_id = $1 FOR UPDATE', [holds[9]]);
    const running = startActivity(world.activities.releaseStuckHolds, { ...world.repair, cutoff, most: 20 });
    const done = async () => (await world.db.query(`SELECT FROM bookings WHERE status = 'expired'`)).length;
    while ((await done()) < 19) await new Promise((resolve) => setTimeout(resolve, 20));
    await other.query('COMMIT');
    expect(await running.result).toEqual({ done: 20, left: [] });
    expect(running.beats).toContainEqual(expect.objectContaining({ done: 20, total: 20, unit: 'rows' }));
    const sizes = await world.db.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM durable_runbooks.change_log WHERE relation LIKE '%bookings%' GROUP BY xmin ORDER BY 1 DESC`,
    );
    expect([sizes[0]!.n, sizes.length > 3]).toEqual([8, true]);
  });

  it('are each released once, wherever the connection was lost', async () => {
    const world = await freshWorld(pg, { batchRows: 2 });
    await leaveHolds(world, 1, 6);
    const { cutoff } = await lookForHolds(world);
    const input = { ...world.repair, cutoff, most: 6 };
    for (let attempt = 1; attempt < 60; attempt += 1) {
      // Each attempt comes a little further than the one before it.
      beforeStatement(attempt + 8, () =>
        Promise.reject(Object.assign(new Error('lost'), { code: 'ECONNRESET' })),
      );
      const run = runActivity(world.activities.releaseStuckHolds, input, { attempt });
      const outcome = await run.then(
        ({ done }) => done,
        () => 'lost',
      );
      jest.restoreAllMocks();
      if (outcome === 'lost') continue;
      expect(outcome).toBe(6);
      expect(attempt).toBeGreaterThan(3);
      break;
    }
    const audited = await world.db.query('SELECT count(*)::int AS n FROM audit_logs GROUP BY entity_id');
    expect(audited).toEqual(Array(6).fill({ n: 1 }));
    expect((await lookForHolds(world)).count).toBe(0);
  });
});

describe('the role of repairs', () => {
  it('can write nothing but what a repair writes', async () => {
    const world = await freshWorld(pg);
    await leaveHolds(world, 1);
    await release(world);
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
    expect(await failureOf(release(world))).toMatchObject({
      type: 'MissingPrivilege',
      message: expect.stringContaining('GRANT UPDATE (updated_at) ON "public"."bookings" TO runbooks_repair'),
    });
    expect(await rowsOf(world)).toEqual(before);
    expect(await auditOf(world)).toEqual([]);
    await world.db.query('GRANT UPDATE (updated_at) ON bookings TO runbooks_repair');
    expect(await release(world)).toEqual({ done: 1, left: [] });
  });

  it('is what the rows are changed as, and is refused when it can write more', async () => {
    const world = await freshWorld(pg);
    await leaveHolds(world, 1);
    await world.db.query('REVOKE UPDATE (status) ON slots FROM runbooks_repair');
    expect((await failureOf(release(world))).message).toMatch(/permission denied for table slots/);
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
      const { message } = await failureOf(undo(world, CANCEL_STEP));
      expect(message).toMatch(/booking .* cannot go from cancelled to confirmed/);
    } finally {
      await right('GRANT');
    }
    expect(await undo(world, CANCEL_STEP)).toEqual({ done: 1, left: [] });
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
    expect(await release(world)).toEqual({ done: 1, left: [] });
    const states = await world.db.query(`SELECT "State" AS state FROM "Shop"."Reservation" ORDER BY no`);
    // The other hold of unit 2 is still good, so that stays taken.
    expect(states.map(({ state }) => state)).toEqual(['CANCELLED', 'CONFIRMED', 'EXPIRED', 'HOLD']);
    const fence = world.repair.fence;
    expect((await runActivity(world.activities.buildUniqueIndex, { ...world.db.place, fence })).state).toBe(
      'present',
    );
    await runActivity(world.activities.dropUniqueIndex, { ...world.db.place, fence });
    await undo(world, RELEASE_STEP);
    await undo(world, CANCEL_STEP);
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

import { RELEASE_STEP } from '../../../src/contract/bookings';
import { runActivity, startActivity } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';
import {
  auditOf,
  freshWorld,
  leaveHolds,
  lookForHolds,
  releaseHolds,
  rowsOf,
  sellOften,
  startBookingServer,
  statesOf,
  undoRepair,
  useCustomers,
} from './bookings-world';
import { beforeLastOf, beforeStatement } from './statements';

const pg = duringTests(startBookingServer);
afterEach(() => jest.restoreAllMocks());
const customer = useCustomers(pg);

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
    expect(await releaseHolds(world)).toEqual({ done: 5, left: [] });
    const slots = await world.db.query(
      `SELECT id::int, status FROM slots WHERE id < 8 AND status <> 'open' ORDER BY id`,
    );
    expect(slots.map(({ id }) => id)).toEqual([6, 7]);
    expect((await auditOf(world)).map(({ action }) => action)).toEqual(Array(5).fill('booking_expired'));
    expect(await undoRepair(world, RELEASE_STEP)).toEqual({ done: 5, left: [] });
    expect(await rowsOf(world)).toEqual(before);
  });

  it('come with the requests that made them, and how many of those came twice', async () => {
    const columns = { expiresAt: 'expires_at', idempotencyKey: 'request' };
    const tables = { bookings: { columns }, slots: {} };
    const world = await freshWorld(pg, { role: undefined, tables }, 'ALTER TABLE bookings ADD request text;');
    const holds = await leaveHolds(world, 1, 4);
    const write = (id: string, key: string) =>
      world.db.query('UPDATE bookings SET request = $1 WHERE id = $2', [key, id]);
    for (const id of holds.slice(0, 3)) await write(id, 'k-1');
    const { requests, repeated } = await lookForHolds(world);
    expect(repeated).toBe(2);
    expect(requests!.map(({ key }) => key).sort()).toEqual(['k-1', 'k-1', 'k-1', null]);
    expect(requests!.every(({ createdAt }) => Math.abs(Date.now() - Date.parse(createdAt)) < 60_000)).toBe(
      true,
    );
    expect(await lookForHolds(await freshWorld(pg))).toMatchObject({ requests: [], repeated: null });
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
    expect(await releaseHolds(world)).toEqual({ done: 2, left: [] });
    expect(await world.db.query('SELECT DISTINCT status FROM slots WHERE id < 3')).toEqual([
      { status: 'open' },
    ]);
    expect(await undoRepair(world, RELEASE_STEP)).toEqual({ done: 2, left: [] });
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
    const running = releaseHolds(world);
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
    const running = releaseHolds(world);
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
    await releaseHolds(world);
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
    const running = releaseHolds(world);
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

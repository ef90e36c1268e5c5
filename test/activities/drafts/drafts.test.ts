import { Client } from 'pg';
import { decide } from '../../../src/workflows/drafts/recover-autosave/decide';
import { questionOf } from '../../../src/workflows/drafts/recover-autosave/plan';
import { failureOf, runActivity, until, type TestPostgres } from '../../support/postgres';
import { auditOf, startBookingServer } from '../bookings/bookings-world';
import { bodiesOf, DRAFTS, find, freshDrafts, LOST, ROLE, rowsOf, salvage, undo } from './drafts-world';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startBookingServer();
});
afterAll(() => pg?.stop());

it('finds what was lost, of each editor the newest, and never says what was written', async () => {
  const world = await freshDrafts(pg);
  const found = await find(world);
  expect(
    found.drafts.map(({ draft, owner, stored, attempts }) => [
      draft,
      owner,
      stored,
      attempts.map(({ id, base, bytes }) => [id, base, bytes]),
    ]),
  ).toEqual([
    ['1', 'u1', '3', [['2', '3', 18]]],
    [
      '2',
      'u1',
      '3',
      [
        ['4', '3', 4],
        ['3', '3', 4],
      ],
    ],
    ['3', 'u2', '3', [['5', '2', 9]]],
    ['4', 'u2', '3', [['6', '3', null]]],
    ['9', null, null, [['10', '3', 7]]],
  ]);
  expect([found.total, found.unconfigured]).toEqual([5, []]);
  expect(questionOf(world.db.place, found.drafts[1]!)).toMatch(
    /^Draft 2 of owner u1 of shop\/production: version 3 of .* UTC is stored; not stored: attempt 4 of .* UTC upon version 3 \(4 B\), attempt 3 of /,
  );
  const { drafts, db } = world;
  const saving = await runActivity(drafts.readSaving, db.place);
  expect([saving.attempts, saving.failed, saving.failing]).toEqual([10, 9, true]);
  expect(saving.errors).toEqual([
    { kind: 'other', count: 6 },
    { kind: 'read-only database', count: 2 },
    { kind: 'timeout', count: 1 },
  ]);
  expect(JSON.stringify([found, saving])).not.toMatch(/secret|late of|of b/);
  const none = await runActivity(drafts.readSaving, { ...db.place, since: new Date().toISOString() });
  expect([none.attempts, none.failing]).toEqual([0, null]);
});

it('decides by the rule', async () => {
  const { drafts } = await find(await freshDrafts(pg));
  const by = (keep: 'newest' | 'ask' | 'both', maxQuestions = 10) => decide({ drafts, keep, maxQuestions });
  const plain = { draft: '1', stored: '3', winner: '2', copies: [], setAside: [] };
  const named = [
    { draft: '4', why: 'the journal has nothing of attempt 6' },
    { draft: '9', why: 'there is no such draft any more' },
  ];
  expect(by('ask')).toEqual({ salvages: [plain], conflicts: [drafts[1], drafts[2]], named });
  expect(by('newest').salvages).toEqual([
    plain,
    { draft: '2', stored: '3', winner: '4', copies: [], setAside: ['3'] },
  ]);
  expect(by('newest').named[0]).toEqual({
    draft: '3',
    why: 'attempt 5 was written upon another version than 3, which is stored',
  });
  expect(by('both').salvages.slice(1)).toEqual([
    { draft: '2', stored: '3', winner: '4', copies: ['3'], setAside: [] },
    { draft: '3', stored: '3', copies: ['5'], setAside: [] },
  ]);
  expect(by('ask', 1).named[0]).toEqual({ draft: '3', why: 'a conflict beyond 1 questions of one run' });
});

it('stores each once and keeps copies; the way back is exact', async () => {
  const world = await freshDrafts(pg, { drafts: { keep: 'both', batchRows: 1 } });
  const before = await rowsOf(world);
  const { salvages } = decide(await find(world));
  expect(await salvage(world, salvages)).toEqual({ done: 3, left: [] });
  // An attempt whose answer was lost has done it.
  expect(await salvage(world, salvages, 2)).toEqual({ done: 3, left: [] });
  const bodies = await bodiesOf(world);
  expect(bodies.slice(0, 4)).toEqual(['1:4 secret second of 1', '2:4 of b', '3:3 stored 3', '4:3 stored 4']);
  expect(bodies.slice(6).map((text) => text.replace(/^\d+:/, ''))).toEqual(['3 of a', '3 late of 3']);
  expect((await find(world)).drafts.map(({ draft }) => draft)).toEqual(['4', '9']);
  expect((await auditOf(world))[1]).toEqual({
    entity_id: '2',
    action: 'draft_salvaged',
    source: 'system',
    details: { stored: '4', copied: '3', setAside: 'none', run: 'run-1' },
  });
  expect(await undo(world)).toEqual({ done: 3, left: [] });
  expect(await rowsOf(world)).toEqual(before);
});

it('leaves alone what was saved since, looked at under the lock, and goes back over nothing of somebody else', async () => {
  const world = await freshDrafts(pg, { drafts: { keep: 'newest' } });
  const { salvages } = decide(await find(world));
  await world.db.query(`UPDATE drafts SET version = 4, body = 'of today' WHERE id = 1`);
  expect(await salvage(world, salvages)).toEqual({
    done: 1,
    left: [{ unit: 'draft 1', why: 'version 3 is not what is stored any more' }],
  });
  expect((await bodiesOf(world))[0]).toBe('1:4 of today');
  expect(await world.db.query(`SELECT status FROM save_attempts WHERE id IN (3, 4) ORDER BY id`)).toEqual([
    { status: 'set_aside' },
    { status: 'salvaged' },
  ]);
  await world.db.query(`UPDATE drafts SET body = 'of tomorrow' WHERE id = 2`);
  expect(await undo(world)).toMatchObject({ done: 0, left: [{ unit: 'draft 2' }] });
  expect((await bodiesOf(world))[1]).toBe('2:4 of tomorrow');
});

it('passes over a draft that somebody keeps locked, and takes it as it is once it is free', async () => {
  const world = await freshDrafts(pg, { drafts: { keep: 'newest' } });
  const { salvages } = decide(await find(world));
  const owner = new Client({ connectionString: pg.urlOf(world.db.name) });
  await owner.connect();
  await owner.query(`BEGIN; UPDATE drafts SET version = 4, body = 'of the owner' WHERE id = 1`);
  const salvaging = salvage(world, salvages);
  await until(async () => (await bodiesOf(world))[1] === '2:4 of b');
  await owner.query('COMMIT');
  await owner.end();
  expect(await salvaging).toMatchObject({ done: 1, left: [{ unit: 'draft 1' }] });
  expect((await bodiesOf(world))[0]).toBe('1:4 of the owner');
});

it('refuses none, too many, a copy that cannot be, and a role that can write more', async () => {
  const world = await freshDrafts(pg, { drafts: { keep: 'both', maxDrafts: 2 } });
  const all = await find(world);
  expect([all.drafts.length, all.total]).toEqual([2, 5]);
  const one = decide(all).salvages[0]!;
  expect(await failureOf(salvage(world, []))).toMatchObject({ type: 'EmptySelection' });
  expect(await failureOf(salvage(world, [one, one, one]))).toMatchObject({ type: 'TooManyTargets' });
  await world.db.query(`CREATE UNIQUE INDEX ON drafts (owner_id, title)`);
  const before = await rowsOf(world);
  const refused = await failureOf(salvage(world, decide(all).salvages));
  expect(refused).toMatchObject({ type: 'CopyRefused', message: expect.stringContaining('SQLSTATE 23505') });
  expect(refused.message).not.toMatch(/of a|of b/);
  expect(await rowsOf(world)).toEqual(before);
  await world.db.query(`GRANT UPDATE (status) ON providers TO ${ROLE}`);
  expect(await failureOf(find(world))).toMatchObject({ type: 'RepairRoleInvalid' });
});

it('keeps no draft back because the database refuses another, and quotes nothing of that', async () => {
  const world = await freshDrafts(pg, { drafts: { keep: 'newest' } });
  await world.db.query(
    `ALTER TABLE drafts ADD CONSTRAINT short CHECK (length(body) < 10); UPDATE save_attempts SET body = 'much too long, and private' WHERE id = 4`,
  );
  const { salvages } = decide(await find(world));
  const repaired = await salvage(world, [...salvages].reverse());
  // Draft 1 is too long as well.
  expect(repaired).toEqual({
    done: 0,
    left: [
      { unit: 'draft 2', why: 'the database refuses what was written (SQLSTATE 23514, short)' },
      { unit: 'draft 1', why: 'the database refuses what was written (SQLSTATE 23514, short)' },
    ],
  });
  await world.db.query(
    'ALTER TABLE drafts DROP CONSTRAINT short; ALTER TABLE drafts ADD CHECK (length(body) < 20)',
  );
  expect(await salvage(world, salvages)).toMatchObject({ done: 1, left: [{ unit: 'draft 2' }] });
  expect((await bodiesOf(world)).slice(0, 2)).toEqual(['1:4 secret second of 1', '2:3 stored 2']);
  expect(await world.db.query('SELECT status FROM save_attempts WHERE id IN (2, 4) ORDER BY id')).toEqual([
    { status: 'salvaged' },
    { status: 'conflict' },
  ]);
});

it('works on an application of somebody else', async () => {
  const world = await freshDrafts(pg, {
    sql: `${DRAFTS}${LOST} CREATE SCHEMA "Desk"; GRANT USAGE ON SCHEMA "Desk" TO ${ROLE}; GRANT ALL ON SCHEMA "Desk" TO booking_owner; SET ROLE booking_owner;
      CREATE TYPE "Desk"."Fate" AS ENUM ('OK', 'LOST', 'BACK', 'DROPPED');
      CREATE TABLE "Desk"."Note" ("Key" text PRIMARY KEY, "by" int NOT NULL, "rev" bigint NOT NULL, "order" timestamp NOT NULL, "json" jsonb NOT NULL);
      CREATE TABLE "Desk"."Try" ("no" text PRIMARY KEY, "note" text, "rev" bigint, "at" timestamp NOT NULL, "tab" uuid NOT NULL, "text" text, "fate" "Desk"."Fate" NOT NULL);
      INSERT INTO "Desk"."Note" VALUES ('n-1', 7, 1, now() AT TIME ZONE 'UTC', '{"a": 1}');
      INSERT INTO "Desk"."Try" VALUES ('t-1', 'n-1', 1, now() AT TIME ZONE 'UTC', gen_random_uuid(), '{"a": 2}', 'LOST');
      GRANT SELECT, UPDATE ON "Desk"."Note", "Desk"."Try" TO ${ROLE}; RESET ROLE;
      REVOKE ALL ON drafts, save_attempts, audit_logs FROM ${ROLE}; SET timezone = 'America/New_York';`,
    drafts: {
      tables: {
        drafts: {
          schema: 'Desk',
          table: 'Note',
          columns: { id: 'Key', owner: 'by', version: 'rev', updatedAt: 'order', body: 'json' },
        },
        attempts: {
          schema: 'Desk',
          table: 'Try',
          columns: {
            id: 'no',
            draft: 'note',
            base: 'rev',
            savedAt: 'at',
            body: 'text',
            status: 'fate',
            session: 'tab',
          },
        },
      },
      states: { failed: ['LOST'], salvaged: 'BACK', setAside: 'DROPPED' },
    },
  });
  const { salvages } = decide(await find(world));
  expect(await salvage(world, salvages)).toEqual({ done: 1, left: [] });
  expect(await world.db.query('SELECT "json", "rev"::int FROM "Desk"."Note"')).toEqual([
    { json: { a: 2 }, rev: 2 },
  ]);
  expect(await undo(world)).toEqual({ done: 1, left: [] });
  expect(await world.db.query('SELECT "json", "rev"::int FROM "Desk"."Note"')).toEqual([
    { json: { a: 1 }, rev: 1 },
  ]);
});

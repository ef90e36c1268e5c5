import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deployVersion } from '../../examples/shared/deployments';
import { AUTOSAVE_TOKEN, startAutosaveApp } from '../simulators/autosave-app';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { configure, historyOf, startDriver, type Driver } from './harness';
import { keepHistory } from './keep-history';
import { slowChanges } from './slow-changes';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const RUNBOOK = 'recoverAutosave';
let driver: Driver;
let worker: WorkerProcess;
let app: Awaited<ReturnType<typeof startAutosaveApp>>;
let flag: string;
beforeAll(async () => {
  process.env['DESK_TOKEN'] = AUTOSAVE_TOKEN;
  app = await startAutosaveApp();
  driver = await startDriver(100, false);
  flag = join(driver.stack.directory, 'fails');
  await driver.sql(DESK);
  configure(driver, settings());
  worker = await startWorkerProcess(driver.stack.configFile);
});
beforeEach(async () => {
  await driver.sql('TRUNCATE "Desk"."Note", "Desk"."Try"');
  Object.assign(app.state, { saves: true, localOnly: false, switched: [], stuck: false });
  app.state.told.clear();
  app.state.deafTo.clear();
});
afterEach(() => rmSync(flag, { force: true }));
afterAll(async () => {
  await worker?.stop();
  await driver?.stack.stop();
  app?.stop();
});

/** Other names than ours: the whole file runs by configuration alone. */
const DESK = `
  CREATE SCHEMA "Desk" AUTHORIZATION booking_owner; SET ROLE booking_owner;
  CREATE TABLE "Desk"."Note" ("Key" int PRIMARY KEY DEFAULT (random() * 1e9)::int + 1000, "by" text NOT NULL, "rev" int NOT NULL,
    "order" timestamptz NOT NULL DEFAULT now(), "text" text NOT NULL);
  CREATE TABLE "Desk"."Try" ("no" bigserial PRIMARY KEY, "note" int NOT NULL, "rev" int NOT NULL, "at" timestamptz NOT NULL,
    "tab" text NOT NULL, "text" text, "fate" text NOT NULL, "why" text)`;

const settings = () => {
  const auth = { kind: 'bearer', token: '${env:DESK_TOKEN}' };
  const post = (path: string, body: object) => ({ method: 'POST', url: `${app.url}${path}`, auth, body });
  const local = (on: boolean) => ({ operation: post('/desk/local', { on }) });
  return {
    drafts: {
      batchRows: 1,
      minAttempts: 1,
      tables: {
        drafts: {
          schema: 'Desk',
          table: 'Note',
          columns: { id: 'Key', owner: 'by', version: 'rev', updatedAt: 'order', body: 'text' },
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
            error: 'why',
          },
        },
      },
    },
    'environments.production.drafts': {
      localOnly: { on: local(true), off: local(false) },
      probe: post('/desk/probe', { text: 'probe' }),
      inform: {
        ...post('/desk/tell', { owner: '{owner}', drafts: '{drafts}' }),
        headers: { 'Idempotency-Key': '{key}' },
      },
      settleSeconds: 1,
    },
    'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${flag}`] },
  };
};

/** Drafts that each lost one save, minutes ago; while saves fail, just now. */
async function lose(count: number, minutesAgo = 30): Promise<void> {
  await driver.sql(
    `INSERT INTO "Desk"."Note" ("Key", "by", "rev", "text") SELECT n, 'u' || n, 1, 'stored ' || n FROM generate_series(1, ${count}) n;
     INSERT INTO "Desk"."Try" ("note", "rev", "at", "tab", "text", "fate", "why")
       SELECT n, 1, now() - interval '${minutesAgo} min', 'a', 'private words ' || n, 'failed', 'disk full: private words' FROM generate_series(1, ${count}) n`,
  );
}
const collide = () =>
  driver.sql(
    `INSERT INTO "Desk"."Try" ("note", "rev", "at", "tab", "text", "fate") VALUES (1, 1, now() - interval '20 min', 'b', 'private words of b', 'conflict')`,
  );
const notes = () =>
  driver
    .sql<{ note: string }>(
      `SELECT "by" || ' ' || "rev" || ' ' || "text" AS note FROM "Desk"."Note" ORDER BY 1`,
    )
    .then((rows) => rows.map(({ note }) => note));
const rows = async () => [
  await driver.sql('SELECT * FROM "Desk"."Note" ORDER BY 1'),
  await driver.sql('SELECT * FROM "Desk"."Try" ORDER BY 1'),
];
const propose = async () => {
  const handle = await driver.start(RUNBOOK, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  return { handle, plan: id };
};
const approve = async () => {
  const { handle, plan } = await propose();
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  return handle;
};
it('has nothing to do where nothing is lost, and changes nothing while it observes, or is refused', async () => {
  const none = await driver.run(RUNBOOK);
  expect([none.outcome, none.report.summary]).toEqual([
    'NOTHING_TO_DO',
    '0 of 0 saves failed within 10 min, too few to tell: at least 1 are needed; nothing that was tried is lost',
  ]);
  await lose(2);
  const before = await rows();
  const observed = await driver.run(RUNBOOK, { mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan?.actions).toEqual([
    expect.objectContaining({
      action: 'salvage drafts',
      count: 2,
      detail: '0 questions, 0 named; conflicts: ask',
    }),
  ]);
  expect(observed.report.plan?.warnings).toContain('too few saves were tried to say whether they fail');
  const { handle, plan } = await propose();
  await driver.answer(handle, 'reject', { plan, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect([await rows(), app.state.switched, app.state.told.size]).toEqual([before, [], 0]);
});

it('puts drafts and journal back where the smoke test fails afterwards', async () => {
  await lose(2);
  const before = await rows();
  writeFileSync(flag, '');
  const ended = await driver.end(await approve());
  expect(ended.outcome).toBe('ROLLED_BACK');
  expect([await rows(), app.state.told.size]).toEqual([before, 0]);
});

it('salvages, asks about a conflict, and tells owners; what was written is in no history', async () => {
  await lose(3);
  await collide();
  app.state.deafTo.add('u3');
  const handle = await approve();
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(/^Tell these owners of booking\/production .*: u3 \(1 draft\)\.$/);
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'told' });
  const asked = await driver.waiting(handle, 'decision');
  expect(asked.question).toMatch(/^Draft 1 of owner u1 .*attempt \d+ of .* upon version 1 \(18 B\), attempt/);
  expect(await notes()).toEqual(['u1 1 stored 1', 'u2 2 private words 2', 'u3 2 private words 3']);
  await driver.answer(handle, 'decide', {
    question: asked.id,
    choice: 'keep all, each as a draft of its own',
    by: 'ben',
  });
  const ended = await driver.end(handle);
  expect([ended.outcome, ended.report.summary]).toEqual([
    'SUCCEEDED',
    '3 drafts of booking/production salvaged; no save that was tried is lost',
  ]);
  expect((await notes()).slice(0, 2)).toEqual(['u1 1 private words 1', 'u1 2 private words of b']);
  expect([...app.state.told.values()].map(({ owner }) => owner).sort()).toEqual(['u1', 'u2']);
  const history = await historyOf(ended.handle);
  expect(history).toContain('Salvage the drafts');
  expect(history).not.toContain('private words');
  await keepHistory(handle, 'recover-autosave');
});

it('keeps edits local while saves fail, waits for a person, and salvages what was lost by then', async () => {
  app.state.saves = false;
  await lose(2, 0);
  const handle = await driver.start(RUNBOOK, { mode: 'auto' });
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(
    /^Saves of booking\/production\/application fail: 2 of 2 saves failed .*\(full disk 2\)/,
  );
  expect(app.state.localOnly).toBe(true);
  await driver.sql(
    `UPDATE "Desk"."Try" SET "at" = now() - interval '1 min'; INSERT INTO "Desk"."Note" VALUES (9, 'u9', 4, now(), 'stored 9');
     INSERT INTO "Desk"."Try" ("note", "rev", "at", "tab", "text", "fate") VALUES (9, 4, now() - interval '1 min', 'a', 'late', 'failed')`,
  );
  app.state.saves = true;
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'room on the disk' });
  const ended = await driver.end(handle);
  expect([ended.outcome, ended.report.summary]).toEqual([
    'SUCCEEDED',
    '3 drafts of booking/production salvaged; no save that was tried is lost',
  ]);
  expect(app.state.switched).toEqual([true, false]);
  expect((await notes())[2]).toBe('u9 5 late');
});

it('does not succeed where saves fail again; what was salvaged stays, and edits are saved as usual', async () => {
  app.state.saves = false;
  await lose(1, 0);
  const handle = await driver.start(RUNBOOK, { mode: 'auto' });
  const task = await driver.waiting(handle, 'task');
  app.state.saves = true;
  await driver.sql(`UPDATE "Desk"."Try" SET "at" = now() - interval '1 min'`);
  await driver.sql(
    `CREATE FUNCTION relapse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
       INSERT INTO "Desk"."Try" ("note", "rev", "at", "tab", "text", "fate") VALUES (NEW."Key", NEW."rev", now() + interval '1 h', 'c', 'again', 'failed'); RETURN NULL; END $$;
     CREATE TRIGGER relapse AFTER UPDATE ON "Desk"."Note" FOR EACH ROW EXECUTE FUNCTION relapse()`,
  );
  try {
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'so I thought' });
    const { outcome, message } = await driver.end(handle);
    expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining('1 of 1 saves failed since')]);
    expect(await notes()).toEqual(['u1 2 private words 1']);
    expect(app.state.switched).toEqual([true, false]);
  } finally {
    await driver.sql('DROP TRIGGER relapse ON "Desk"."Note"; DROP FUNCTION relapse()');
  }
});

it('rolls a young deployment back', async () => {
  const { version } = deployVersion(driver.stack.directory, '1.5.0');
  await lose(1, 0);
  app.state.saves = false;
  const handle = await driver.start(RUNBOOK, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  const child = await driver.childOf(handle, 'rollBackDeployment');
  const asked = await driver.waiting(child, 'approval');
  expect(JSON.stringify(await child.query('status'))).toContain(version);
  await driver.sql(`UPDATE "Desk"."Try" SET "at" = now() - interval '1 min'`);
  app.state.saves = true;
  await driver.answer(child, 'approve', { plan: asked.id, by: 'ben' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.facts['draftsSalvaged']]).toEqual(['SUCCEEDED', 1]);
  expect(report.timeline.some(({ title }) => title === 'Roll back')).toBe(true);
});

it('salvages each once when the worker is killed in the middle', async () => {
  await lose(10);
  const slow = await slowChanges(driver, '"Desk"."Note"', `NEW."rev" = 2`);
  const handle = await approve();
  const stored = async () => (await notes()).filter((note) => note.includes(' 1 ')).length;
  await until(async () => (await stored()) <= 8);
  await worker.kill();
  expect(await stored()).toBeGreaterThan(0);
  await slow.quicken();
  worker = await startWorkerProcess(driver.stack.configFile);
  const { outcome, report } = await driver.end(handle);
  await slow.end();
  expect([outcome, report.facts['draftsSalvaged']]).toEqual(['SUCCEEDED', 10]);
  expect((await notes()).every((note) => / 2 private words \d+$/.test(note))).toBe(true);
  expect(app.state.told.size).toBe(10);
});

it('salvages nothing where nobody approves in time', async () => {
  await lose(1);
  await worker.kill();
  configure(driver, { 'approval.expiresAfterMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.run(RUNBOOK, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(await notes()).toEqual(['u1 1 stored 1']);
});

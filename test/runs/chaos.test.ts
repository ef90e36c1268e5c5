import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as PgClient } from 'pg';
import { GUARD_TYPE } from '../../src/contract/guard';
import { drawRound } from '../chaos/draw';
import { outcomeOf, type Verdict } from '../chaos/facts';
import { examine, newMemory, playRound } from '../chaos/round';
import { openWorld, type World } from '../chaos/world';
import { quietTemporal } from '../support/quiet';

quietTemporal();
let world: World;
const memory = newMemory();
/** A drill beside a migration: backups, disposable clusters and DDL, with workers and both servers killed meanwhile. */
const SEED = 14;
const ROUND = 1;

beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.stop());

const production = (...path: string[]) =>
  join(world.driver.stack.directory, 'backups', 'booking', 'production', ...path);
const sql = (statement: string) => world.sql(statement);
const onServer = (statement: string) => world.sql(statement, 'postgres');
const folder = (path: string) => {
  mkdirSync(path, { recursive: true });
  return async () => rmSync(path, { recursive: true });
};
/** Does it, and says how it is undone. */
const both = async (there: string, back: string) => {
  await onServer(there);
  return () => onServer(back);
};
const client = async (name: string) => {
  const connectionString = world.driver.stack.booking.urls.production.migrator;
  const session = new PgClient({ connectionString, application_name: name });
  await session.connect();
  return session;
};

describe('faults at random moments', () => {
  it('lose nothing, do nothing twice, and leave nothing behind', async () => {
    const { runs, struck, findings } = await playRound(world, drawRound(SEED, ROUND), memory);
    expect(findings).toEqual([]);
    // What becomes of them depends on the moment; that it is so is what the judge has found.
    for (const run of runs) expect(outcomeOf(run)).toMatch(/^(SUCCEEDED|ROLLED_BACK|FAILED)$/);
    expect(runs).toHaveLength(2);
    expect(new Set(struck.map(({ kind }) => kind))).toContain('worker killed');
    expect(world.crashes).toEqual([]);
  });
});

describe('the judge', () => {
  it.each<[string, () => Promise<() => Promise<unknown>>, Verdict, RegExp]>([
    [
      'a write that is gone',
      async () => {
        const [row] = await world.sql<{ id: string }>(
          `DELETE FROM audit_logs WHERE action = 'chaos' AND entity_id = (SELECT entity_id FROM audit_logs WHERE action = 'chaos' ORDER BY id DESC LIMIT 1)
           RETURNING entity_id AS id`,
        );
        return () =>
          sql(
            `INSERT INTO audit_logs (entity_type, entity_id, action, source) VALUES ('booking', '${row!.id}', 'chaos', 'system')`,
          );
      },
      'lost',
      /^write w\d+, acknowledged/,
    ],
    [
      'a write that is there twice',
      async () => {
        const [row] = await world.sql<{ id: string }>(
          `INSERT INTO audit_logs (entity_type, entity_id, action, source)
           SELECT entity_type, entity_id, action, source FROM audit_logs WHERE action = 'chaos' LIMIT 1 RETURNING id::text`,
        );
        return () => sql(`DELETE FROM audit_logs WHERE id = ${row!.id}`);
      },
      'doubled',
      /2 times/,
    ],
    [
      'a migration that is applied and in no ledger',
      async () => {
        memory.migrations.push('2027_01_01_999999_rows.sql');
        await sql(`INSERT INTO chaos_effects (migration) VALUES ('2027_01_01_999999_rows.sql')`);
        return () => sql(`DELETE FROM chaos_effects WHERE migration LIKE '%999999%'`);
      },
      'wrong',
      /999999_rows\.sql on production: 0 in the ledger/,
    ],
    [
      'a database of a restore',
      () => both('CREATE DATABASE restored_x', 'DROP DATABASE restored_x'),
      'leftover',
      /database restored_x/,
    ],
    [
      'a database that takes no writes',
      () =>
        both(
          'ALTER DATABASE booking_staging SET default_transaction_read_only = on',
          'ALTER DATABASE booking_staging RESET default_transaction_read_only',
        ),
      'leftover',
      /booking_staging takes no writes/,
    ],
    [
      'a session',
      async () => {
        const session = await client('dr:left');
        return () => session.end();
      },
      'leftover',
      /session dr:left/,
    ],
    [
      'half a backup',
      async () => folder(production('x.1.partial')),
      'leftover',
      /half a backup: x\.1\.partial/,
    ],
    [
      'half a mark of a backup',
      async () => {
        folder(production('left', 'proof.json.3.1.new'));
        return async () => rmSync(production('left'), { recursive: true });
      },
      'leftover',
      /half a mark: left\/proof\.json\.3\.1\.new/,
    ],
    [
      'a backup without a manifest',
      async () => folder(production('left')),
      'leftover',
      /backup left without a manifest/,
    ],
    [
      'a disposable cluster',
      async () => folder(join(world.driver.stack.directory, 'scratch', 'left')),
      'leftover',
      /disposable cluster left/,
    ],
    [
      'a temporary folder of a worker',
      async () => {
        const made = mkdtempSync(join(tmpdir(), `durable-runbooks-${world.workers[0]!.now!.pid}-`));
        return async () => rmSync(made, { recursive: true });
      },
      'leftover',
      /temporary folder/,
    ],
    [
      'an index that is invalid',
      async () => {
        await sql('CREATE INDEX chaos_left ON job_runs (processed)');
        await sql(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chaos_left'::regclass`);
        return () => sql('DROP INDEX chaos_left');
      },
      'leftover',
      /invalid index chaos_left/,
    ],
    [
      'a lease, also in the memory of a guard that was terminated',
      async () => {
        const { client, config } = world.driver.stack;
        const holder = { workflowId: 'left', runId: 'left', token: 1, since: new Date().toISOString() };
        const guard = await client.workflow.start(GUARD_TYPE, {
          workflowId: 'guard/left',
          // Nobody works on it, so nobody finds that the holder is gone.
          taskQueue: `${config.temporal.taskQueue}-nobody`,
          args: [{ target: 'left' }],
          memo: { guard: { holder } },
        });
        await guard.terminate();
        return async () => undefined;
      },
      'leftover',
      /the lease of left, held by left/,
    ],
  ])('finds %s', async (_, leave, verdict, what) => {
    const nothing = { runs: [], backups: [], replaced: false, trouble: [], repairs: async () => [] };
    const mend = await leave();
    try {
      expect(await examine(world, memory, nothing, 0)).toContainEqual({
        verdict,
        what: expect.stringMatching(what) as string,
      });
    } finally {
      await mend();
    }
  });
});

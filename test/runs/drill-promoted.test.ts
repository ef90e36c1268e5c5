import { Client } from 'pg';
import { ensureBookkeeping } from '../../src/activities/postgres/session/bookkeeping';
import { useDriver } from './harness';

const driver = useDriver();
const APPLIED = '2026_11_01_add_booking_notes.sql';

const databases = () =>
  driver.sql<{ datname: string }>('SELECT datname FROM pg_database ORDER BY 1', 'postgres');

/** As a run that applied it after the backup leaves it. */
async function applySince(): Promise<void> {
  const url = driver.stack.postgres.url.replace(/\/postgres$/, '/booking_production');
  const client = new Client({ connectionString: url });
  await client.connect();
  await ensureBookkeeping(client);
  await client.query(
    `INSERT INTO durable_runbooks.ledger (migration, direction, statement, sha256, status) VALUES ($1, 'up', 0, 'x', 'finished')`,
    [APPLIED],
  );
  await client.end();
}

beforeAll(async () => {
  expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
  await applySince();
});

it('does not take over when nobody may approve it', async () => {
  const before = await databases();
  const handle = await driver.start('drillRestore', { mode: 'propose', promote: true });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(await databases()).toEqual(before);
});

it('restores again onto the durable server, takes over, and has the migrations applied that the backup lacks', async () => {
  const { outcome, report, message } = await driver.agree(
    await driver.start('drillRestore', { mode: 'propose', promote: true }),
  );
  expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('took over')]);
  expect(report.facts['rtoSeconds']).toEqual(expect.any(Number));
  expect(report.plan?.warnings).toContainEqual(
    expect.stringMatching(
      `it lacks 1 migration: ${APPLIED}; migrateDatabase is started for them once it is live, with a plan of its own$`,
    ),
  );
  const handle = driver.stack.client.workflow.getHandle('migrateDatabase/booking/restored-production');
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  const { outcome: migrated, report: other } = await driver.end(handle);
  expect([migrated, other.plan?.actions.map(({ action }) => action)]).toEqual([
    'REJECTED',
    expect.arrayContaining([`apply ${APPLIED}`]),
  ]);
});

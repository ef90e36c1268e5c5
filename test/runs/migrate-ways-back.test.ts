import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';

quietTemporal();
let driver: Driver;
beforeAll(async () => {
  driver = await startDriver();
});
afterAll(() => driver?.stack.stop());

const write = (name: string, sql: string) =>
  writeFileSync(join(driver.stack.directory, 'migrations', name), sql);
const has = async (table: string, column: string, environment: 'production' | 'staging' = 'production') =>
  (
    await driver.sql(
      `SELECT FROM information_schema.columns WHERE table_name = '${table}' AND column_name = '${column}'`,
      environment,
    )
  ).length > 0;
const production = () => driver.stack.config.services['booking']!.environments['production']!;
/** Makes the verification of production fail from now on. */
const breakHealth = () => {
  production().application!.health[0]!.url = `${driver.stack.app.url}/no-such-page`;
};
const mendHealth = () => {
  production().application!.health[0]!.url = `${driver.stack.app.url}/health`;
};
beforeEach(mendHealth);

describe('several migrations', () => {
  it('are applied in the order of their names, transactional or not', async () => {
    write('2026_12_01_first.sql', 'ALTER TABLE customers ADD COLUMN first text;\n');
    write('2026_12_01_first.down.sql', 'ALTER TABLE customers DROP COLUMN first;\n');
    write('2026_12_02_second.sql', 'CREATE INDEX CONCURRENTLY customers_first ON customers (first);\n');
    write('2026_12_02_second.down.sql', 'DROP INDEX CONCURRENTLY customers_first;\n');
    const { outcome, message } = await driver.run('migrateDatabase', {
      files: ['2026_12_01_first.sql', '2026_12_02_second.sql'],
      mode: 'auto',
    });
    expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('2026_12_02_second.sql')]);
    const order = await driver.sql<{ migration: string }>(
      `SELECT migration FROM durable_runbooks.ledger WHERE statement = 0 AND status = 'finished' ORDER BY id`,
    );
    expect(order.map(({ migration }) => migration)).toEqual([
      '2026_12_01_first.sql',
      '2026_12_02_second.sql',
    ]);
  });
});

describe('a migration without a down script whose verification fails', () => {
  const applyAndAsk = async (name: string) => {
    write(name, `ALTER TABLE customers ADD COLUMN ${name.slice(11, -4)} text;\n`);
    const handle = await driver.start('migrateDatabase', {
      files: [name],
      mode: 'propose',
      accept: ['down-missing'],
    });
    const { id } = await driver.waiting(handle, 'approval');
    breakHealth();
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const question = await driver.waiting(handle, 'decision');
    expect(question.question).toMatch(/has no down script\. Restoring .* from .* Restore\?/);
    return { handle, question };
  };

  it('is taken back by a restore when a person says so, with what was there before it', async () => {
    const { handle, question } = await applyAndAsk('2026_12_03_restored.sql');
    expect(await has('customers', 'restored')).toBe(true);
    mendHealth();
    await driver.answer(handle, 'decide', { question: question.id, choice: 'restore', by: 'ben' });
    // Staging has no down script either; nobody restores it by itself.
    const task = await driver.waiting(handle, 'task');
    expect(task.question).toMatch(/stays on booking\/staging/);
    expect(await has('customers', 'restored')).toBe(false);
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'dropped it on staging' });
    expect((await driver.end(handle)).outcome).toBe('NEEDS_HUMAN');
    await driver.sql('ALTER TABLE customers DROP COLUMN restored', 'staging');
    await driver.sql(`DELETE FROM durable_runbooks.ledger WHERE migration LIKE '%restored%'`, 'staging');
  });

  it('stays where it is when a person wants to look first: NEEDS_HUMAN, backup kept', async () => {
    const { handle, question } = await applyAndAsk('2026_12_04_kept.sql');
    await driver.answer(handle, 'decide', { question: question.id, choice: 'leave it to me', by: 'ben' });
    const task = await driver.waiting(handle, 'task');
    expect(task.question).toMatch(/stays on booking\/production, as decided; its backup is/);
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'mended' });
    const { outcome, message } = await driver.end(handle);
    expect(outcome).toBe('NEEDS_HUMAN');
    expect(message).toMatch(/Health of booking\/production/);
    expect(await has('customers', 'kept')).toBe(true);
    for (const environment of ['production', 'staging'] as const) {
      await driver.sql('ALTER TABLE customers DROP COLUMN kept', environment);
      await driver.sql(`DELETE FROM durable_runbooks.ledger WHERE migration LIKE '%kept%'`, environment);
    }
  });
});

describe('migrations by a configured command', () => {
  it('never run in mode auto, are rehearsed like others, and are known the second time', async () => {
    const tool = join(driver.stack.directory, 'tool.cjs');
    writeFileSync(
      tool,
      `const { Client } = require(${JSON.stringify(require.resolve('pg'))});
       const client = new Client({ connectionString: process.env.DATABASE_URL });
       client.connect().then(() => client.query('ALTER TABLE customers ADD COLUMN IF NOT EXISTS by_tool text')).then(() => client.end());\n`,
    );
    const { migrations } = driver.stack.config.services['booking']!;
    const own = join(driver.stack.directory, 'tool-migrations');
    rmSync(own, { recursive: true, force: true });
    mkdirSync(own);
    const before = { ...migrations };
    Object.assign(migrations, {
      directory: own,
      command: { run: [process.execPath, tool], directory: '.', environment: {}, timeoutSeconds: 60 },
    });
    try {
      const handle = await driver.start('migrateDatabase', { mode: 'auto' });
      const { id } = await driver.waiting(handle, 'approval');
      expect(await has('customers', 'by_tool')).toBe(false);
      expect(await has('customers', 'by_tool', 'staging')).toBe(true);
      await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
      const { outcome, message, report } = await driver.end(handle);
      expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('command ')]);
      expect(report.timeline[0]?.detail).toMatch(/cannot be fenced/);
      expect(await has('customers', 'by_tool')).toBe(true);
      expect((await driver.run('migrateDatabase', {})).outcome).toBe('NOTHING_TO_DO');
    } finally {
      Object.assign(migrations, before, { command: undefined });
    }
  });
});

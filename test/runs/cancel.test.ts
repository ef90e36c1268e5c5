import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { GuardState } from '../../src/contract/guard';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';

quietTemporal();
let driver: Driver;
beforeAll(async () => {
  driver = await startDriver(3_000);
});
afterAll(() => driver?.stack.stop());

const NAME = '2026_12_05_cancelled.sql';

/** Everything that a cancelled run must leave as it was. */
async function snapshot() {
  const columns = (environment: 'production' | 'staging') =>
    driver.sql(
      `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2`,
      environment,
    );
  return {
    production: await columns('production'),
    staging: await columns('staging'),
    databases: await driver.sql('SELECT datname FROM pg_database ORDER BY 1', 'postgres'),
  };
}

const sessions = () =>
  driver.sql<{ query: string }>(
    `SELECT application_name, state, query FROM pg_stat_activity WHERE application_name LIKE 'dr:%' AND datname LIKE 'booking%'`,
    'postgres',
  );
/** Null where nobody has the lease of production, also where nobody has ever asked for it. */
const holder = () =>
  driver.stack.client.workflow
    .getHandle('guard/booking/production')
    .query<GuardState>('state')
    .then(
      (state) => state.holder,
      (error: unknown) => {
        if (error instanceof WorkflowNotFoundError) return null;
        throw error;
      },
    );
const partials = () => {
  const folder = join(driver.stack.directory, 'backups', 'booking', 'production');
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.partial')) : [];
};

describe('a migration that is cancelled', () => {
  beforeAll(() => {
    const write = (name: string, sql: string) =>
      writeFileSync(join(driver.stack.directory, 'migrations', name), sql);
    write(NAME, 'SELECT pg_sleep(0.4);\nALTER TABLE customers ADD COLUMN cancelled text;\n');
    write('2026_12_05_cancelled.down.sql', 'ALTER TABLE customers DROP COLUMN IF EXISTS cancelled;\n');
  });

  it.each([
    ['Look at booking/production', 'CANCELLED'],
    ['Compare the schemas', 'CANCELLED'],
    ['Back up booking/production', 'CANCELLED'],
    ['Start a disposable cluster', 'CANCELLED'],
    [/^Restore .* into it$/, 'CANCELLED'],
    ['Validate the restored copy', 'CANCELLED'],
    [`Apply ${NAME} on the clone`, 'CANCELLED'],
    [`Apply ${NAME} on booking/staging`, 'ROLLED_BACK'],
    ['Smoke test of booking/staging', 'ROLLED_BACK'],
    [/^Approval of plan/, 'ROLLED_BACK'],
    [`Apply ${NAME} on booking/production`, 'ROLLED_BACK'],
    ['Error rate of booking/production', 'ROLLED_BACK'],
  ] as const)('during "%s" leaves everything as it was and ends as %s', async (title, expected) => {
    const before = await snapshot();
    const propose = String(title).includes('Approval');
    const handle = await driver.start('migrateDatabase', {
      files: [NAME],
      mode: propose ? 'propose' : 'auto',
    });
    // Removing the column again destroys nothing that anybody wrote, but the run cannot know that: it asks.
    const answering = answerQuestions(handle.workflowId);
    await driver.until(handle, ({ timeline }) =>
      // It may have ended a moment ago: that moment belongs to the movement as well.
      timeline.some((entry) => (typeof title === 'string' ? entry.title === title : title.test(entry.title))),
    );
    await handle.cancel();
    const { outcome } = await driver.end(handle);
    answering.stop();
    expect(outcome).toBe(expected);
    expect(await snapshot()).toEqual(before);
    expect(partials()).toEqual([]);
    expect(await sessions()).toEqual([]);
    expect(await holder()).toBeNull();
  });

  it('leaves no disposable cluster behind', () => {
    const folder = join(driver.stack.directory, 'scratch');
    expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
  });
});

describe('a restore that is cancelled', () => {
  beforeAll(async () => {
    expect((await driver.run('backUpDatabase')).outcome).toBe('SUCCEEDED');
    // The way there stays until it is cancelled; the way back does not.
    driver.stack.config.services['booking']!.restore.switchTraffic = {
      run: ['sh', '-c', 'mkdir "$0" 2>/dev/null || exit 0; sleep 100', there()],
      directory: '.',
      environment: {},
      timeoutSeconds: 200,
    };
  });
  const there = () => join(driver.stack.directory, 'traffic-is-there');
  beforeEach(() => rmSync(there(), { recursive: true, force: true }));

  it.each([
    [/^Approval of plan/, 'CANCELLED'],
    ['Back up what is in booking/production', 'ROLLED_BACK'],
    ['Restore beside it', 'ROLLED_BACK'],
    ['Validate the restored copy', 'ROLLED_BACK'],
    ['Swap', 'ROLLED_BACK'],
    ['Switch traffic', 'ROLLED_BACK'],
  ] as const)('during "%s" leaves the former database live and ends as %s', async (title, expected) => {
    const oid = () =>
      driver.sql(`SELECT oid FROM pg_database WHERE datname = 'booking_production'`, 'postgres');
    const before = {
      databases: await driver.sql('SELECT datname FROM pg_database ORDER BY 1', 'postgres'),
      oid: await oid(),
    };
    const propose = String(title).includes('Approval');
    const handle = await driver.start('restoreDatabase', { mode: propose ? 'propose' : 'auto' });
    const answering = answerQuestions(handle.workflowId);
    await driver.until(handle, ({ timeline }) =>
      timeline.some((entry) => (typeof title === 'string' ? entry.title === title : title.test(entry.title))),
    );
    await handle.cancel();
    const { outcome } = await driver.end(handle);
    answering.stop();
    expect(outcome).toBe(expected);
    expect(await oid()).toEqual(before.oid);
    expect(await driver.sql('SELECT datname FROM pg_database ORDER BY 1', 'postgres')).toEqual(
      before.databases,
    );
    expect((await fetch(`${driver.stack.app.url}/health/ready`)).status).toBe(200);
    expect(await holder()).toBeNull();
  });
});

/** A person who agrees to every way back. */
function answerQuestions(workflowId: string) {
  const handle = driver.stack.client.workflow.getHandle(workflowId);
  let stopped = false;
  void (async () => {
    while (!stopped) {
      const { waiting } = await handle
        .query<{ waiting: { kind: string; id: string; choices: string[] }[] }>('status')
        .catch(() => ({ waiting: [] }));
      for (const { kind, id, choices } of waiting) {
        if (kind !== 'decision') continue;
        await driver
          .answer(handle, 'decide', { question: id, choice: choiceFor(choices), by: 'ben' })
          .catch(() => undefined);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  return {
    stop: () => {
      stopped = true;
    },
  };
}

const choiceFor = (choices: string[]): string =>
  choices.find((choice) => !/^(keep|stop|leave)/.test(choice)) ?? '';

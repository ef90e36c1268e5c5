import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createScratchActivities } from '../../src/activities/postgres/restore/scratch-activities';
import { startWorker, type RunningWorker } from '../../src/worker/worker';
import { wrapTools } from '../support/pg-tools';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
let driver: Driver;
/** In this process. */
let one: RunningWorker | undefined;
/** A process of its own, with folders of its own: another host but for its name. */
let other: WorkerProcess | undefined;
let elsewhere: string;
let there: string;
let go: string;

beforeAll(async () => {
  driver = await startDriver(400, false);
  const { directory } = driver.stack;
  elsewhere = join(directory, 'elsewhere');
  mkdirSync(elsewhere);
  chmodSync(elsewhere, 0o755);
  for (const name of readdirSync(directory)) {
    if (!['elsewhere', 'postgres', 'temporal', 'backups', 'scratch'].includes(name))
      cpSync(join(directory, name), join(elsewhere, name), { recursive: true });
  }
  [there, go] = [join(elsewhere, 'there'), join(elsewhere, 'go')];
  writeFileSync(go, '');
  const tools = wrapTools(elsewhere, driver.stack.postgres.binDirectory, {
    pg_restore: `case "$*" in *--use-list*) touch ${there}; while [ ! -e ${go} ]; do sleep 0.05; done;; esac`,
  });
  const config = readFileSync(join(elsewhere, 'runbooks.yaml'), 'utf8');
  writeFileSync(
    join(elsewhere, 'runbooks.yaml'),
    `postgresBin: ${tools}\nworker: { host: elsewhere, hostLostSeconds: 8 }\n${config}`,
  );
});
afterAll(async () => {
  await other?.kill();
  await one?.stop();
  await driver?.stack.stop();
});

const startOne = async () => {
  driver.stack.config.worker.hostLostSeconds = 8;
  one = await startWorker(driver.stack.config);
};
const startOther = async () => (other = await startWorkerProcess(join(elsewhere, 'runbooks.yaml')));
const folders = (directory: string) => (existsSync(directory) ? readdirSync(directory) : []);

/** Approves every plan: one that grew while it waited is asked about again. Fails with any other question. */
async function end(runbook: string, input: Record<string, unknown>) {
  const handle = await driver.start(runbook, input);
  const answered = new Set<string>();
  for (;;) {
    const isNew = ({ id }: { id: string }) => !answered.has(id);
    const seen = await driver.until(
      handle,
      (status) => status.outcome !== undefined || status.waiting.some(isNew),
    );
    const question = seen.waiting.find(isNew);
    if (question === undefined) return driver.end(handle);
    expect(question.kind).toBe('approval');
    answered.add(question.id);
    await driver.answer(handle, 'approve', { plan: question.id, by: 'ben' }).catch(() => undefined);
  }
}

it('what lies on the disk of one host is found and used there, whoever else takes the work of a run', async () => {
  await startOther();
  expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
  expect(folders(join(elsewhere, 'backups/booking/production'))).toHaveLength(1);
  await startOne();

  const drill = await end('drillRestore', { mode: 'auto' });
  expect([drill.outcome, drill.message]).toEqual(['SUCCEEDED', expect.stringContaining('checks held')]);
  const opened = drill.report.timeline.find(({ title }) => title === 'Start a disposable cluster');
  expect(opened?.detail).toMatch(/elsewhere\/scratch\/\S+ on elsewhere$/);
  expect(folders(join(elsewhere, 'scratch'))).toEqual([]);
  expect((await driver.run('checkBackups')).outcome).toBe('SUCCEEDED');

  const migration = await end('migrateDatabase', {
    mode: 'auto',
    files: ['2026_11_01_add_booking_notes.sql'],
  });
  expect([migration.outcome, migration.message]).toEqual([
    'SUCCEEDED',
    expect.stringContaining('applied in booking/production'),
  ]);

  const { outcome, message } = await end('restoreDatabase', { mode: 'propose' });
  expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('is restored from')]);
  expect([
    ...folders(join(elsewhere, 'scratch')),
    ...folders(join(driver.stack.directory, 'scratch')),
  ]).toEqual([]);
});

it('a host that is lost during a drill: another one that has the backup does it, and nothing is called dropped that may run on', async () => {
  // Both see the same backups, as on a share.
  const shared = join(driver.stack.directory, 'backups');
  await one?.stop();
  one = undefined;
  cpSync(join(elsewhere, 'backups'), shared, { recursive: true });
  rmSync(join(elsewhere, 'backups'), { recursive: true });
  symlinkSync(shared, join(elsewhere, 'backups'));

  rmSync(go);
  rmSync(there);
  const handle = await driver.start('drillRestore', { mode: 'auto' });
  await driver.until(handle, () => existsSync(there));
  await startOne();
  await other?.kill();
  const { outcome, message, report } = await driver.end(handle);
  expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('checks held')]);
  const [left] = folders(join(elsewhere, 'scratch')).filter((name) => !name.endsWith('.lock'));
  const lines = report.timeline.map(({ title, detail }) => `${title}: ${detail ?? ''}`);
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringMatching(
        new RegExp(
          `^Host elsewhere is lost: The disposable cluster .*elsewhere/scratch/${left} .*not known to be dropped`,
        ),
      ),
      expect.stringMatching(
        new RegExp(`^Drop the disposable cluster ${left} failed: no worker of host elsewhere`),
      ),
    ]),
  );
  expect(folders(join(driver.stack.directory, 'scratch'))).toEqual([]);

  const config = { ...driver.stack.config, directory: elsewhere };
  expect(await createScratchActivities({ config }).dropScratch({ scratch: left! })).toEqual({
    dropped: true,
  });
}, 300_000);

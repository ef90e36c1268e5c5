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
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { parseDocument } from 'yaml';
import { PROVEN_FILE } from '../../src/activities/postgres/backups/manifest';
import { createScratchActivities } from '../../src/activities/postgres/restore/scratch-activities';
import { startS3Server, type S3Server } from '../../src/local/s3-server';
import { startWorker, type RunningWorker } from '../../src/worker/worker';
import { editManifest } from '../support/damage';
import { wrapTools } from '../support/pg-tools';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
let driver: Driver;
let s3: S3Server;
/** In this process. */
let one: RunningWorker | undefined;
/** A process of its own, with folders of its own: another host but for its name. */
let other: WorkerProcess | undefined;
let elsewhere: string;
let there: string;
let go: string;

beforeAll(async () => {
  [driver, s3] = await Promise.all([startDriver(400, false), startS3Server()]);
  const { accessKeyId, secretAccessKey, endpoint } = s3;
  const where = { endpoint, region: 'us-east-1', forcePathStyle: true };
  const client = new S3Client({ ...where, credentials: { accessKeyId, secretAccessKey } });
  await client.send(new CreateBucketCommand({ Bucket: 'backups' }));
  client.destroy();
  const offsite = {
    ...where,
    kind: 's3',
    bucket: 'backups',
    prefix: '',
    prune: true,
    accessKeyId,
    secretAccessKey,
  };
  Object.assign(driver.stack.config.services['booking']!.backups!, { offsite });
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
  mkdirSync(there);
  const tools = wrapTools(elsewhere, driver.stack.postgres.binDirectory, {
    pg_restore: `case "$*" in *--use-list*) touch ${there}/$$; while [ ! -e ${go} ] && [ -d ${there} ]; do sleep 0.05; done;; esac`,
  });
  const file = join(elsewhere, 'runbooks.yaml');
  const config = parseDocument(readFileSync(file, 'utf8'));
  config.set('postgresBin', tools);
  config.set('worker', { host: 'elsewhere', hostLostSeconds: 8 });
  config.setIn(['services', 'booking', 'backups', 'offsite'], offsite);
  writeFileSync(file, config.toString());
});
afterAll(async () => {
  await other?.kill();
  await one?.stop();
  await driver?.stack.stop();
  await s3?.stop();
});

const startOne = async () => {
  driver.stack.config.worker.hostLostSeconds = 8;
  one = await startWorker(driver.stack.config);
};
const startOther = async () => (other = await startWorkerProcess(join(elsewhere, 'runbooks.yaml')));
const folders = (directory: string) => (existsSync(directory) ? readdirSync(directory) : []);

/**
 * Approves every plan, one that grew while it waited again. Sessions count their writes late: a loss that is greater than
 * was said is asked about once more. Fails with any other question.
 */
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
    answered.add(question.id);
    if (question.kind === 'decision') {
      expect(question.question).toContain('more than was said before');
      await driver.answer(handle, 'decide', { question: question.id, choice: 'restore', by: 'ben' });
    } else await driver.answer(handle, 'approve', { plan: question.id, by: 'ben' }).catch(() => undefined);
  }
}

it('what lies on the disk of one host is found and used there, whoever else takes the work of a run', async () => {
  await startOther();
  expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
  expect(folders(join(elsewhere, 'backups/booking/production'))).toHaveLength(1);
  await startOne();

  const drill = await end('drillRestore', { mode: 'auto', from: 'disk' });
  expect([drill.outcome, drill.message]).toEqual(['SUCCEEDED', expect.stringContaining('checks held')]);
  const opened = drill.report.timeline.find(({ title }) => title === 'Start a disposable cluster');
  expect(opened?.detail).toMatch(/elsewhere\/scratch\/\S+ on elsewhere$/);
  expect(folders(join(elsewhere, 'scratch'))).toEqual([]);
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

it('the retention is applied, and looked at, on every host: also where backups were only fetched', async () => {
  const disks = [driver.stack.directory, elsewhere].map((one) => join(one, 'backups/booking/production'));
  const fetched = () =>
    disks.map((disk) =>
      folders(disk)
        .filter((name) => name.startsWith('fetched-'))
        .sort(),
    );
  const [taken] = folders(disks[1]!);
  for (const disk of disks)
    for (let days = 1; days <= 8; days += 1) {
      const folder = join(disk, `fetched-${days}`);
      cpSync(join(disks[1]!, taken!), folder, { recursive: true });
      editManifest(folder, (manifest) => {
        manifest.backupId = `fetched-${days}`;
        manifest.snapshotAt = new Date(Date.now() - days * 86_400_000).toISOString();
      });
      const manifestSha256 = readFileSync(join(folder, 'manifest.sha256'), 'utf8').trim();
      writeFileSync(join(folder, PROVEN_FILE), JSON.stringify({ provenAt: '2026-01-01', manifestSha256 }));
    }
  const check = await driver.run('checkBackups', { verify: 'newest' });
  const lines = check.report.timeline.filter(({ title }) => title.startsWith('The retention is kept on '));
  expect(lines.map(({ detail }) => detail)).toEqual(
    [1, 2].map(() => expect.stringMatching(/due for deletion/)),
  );
  const { outcome, report } = await driver.run('backUpDatabase', { mode: 'auto' });
  expect(outcome).toBe('SUCCEEDED');
  const applied = report.timeline.filter(({ title }) => title.startsWith('Apply the retention'));
  expect(applied.map(({ status }) => status)).toEqual(['done', 'done']);
  for (const left of fetched()) {
    expect(left).toContain('fetched-1');
    expect(left).not.toContain('fetched-8');
  }
  for (const disk of disks)
    for (const name of folders(disk).filter((one) => one.startsWith('fetched-')))
      rmSync(join(disk, name), { recursive: true });
});

it('a host that is lost while it restores for a drill and for a migration: another one does both, and fetches what it never saw', async () => {
  await one?.stop();
  one = undefined;
  // Both see the same backups, as on a share.
  const shared = join(driver.stack.directory, 'backups');
  cpSync(join(elsewhere, 'backups'), shared, { recursive: true });
  rmSync(join(elsewhere, 'backups'), { recursive: true });
  symlinkSync(shared, join(elsewhere, 'backups'));
  const backups = join(shared, 'booking/production');
  // Taken by itself, and so copied off site.
  const [backupId] = folders(backups).sort();

  rmSync(go);
  rmSync(there, { recursive: true });
  mkdirSync(there);
  const drill = await driver.start('drillRestore', { mode: 'auto', from: 'disk', recoveryPoint: backupId });
  await driver.until(drill, () => folders(there).length === 1);
  const migration = await driver.start('migrateDatabase', {
    mode: 'propose',
    files: ['2026_11_02_index_deliveries_concurrently.sql'],
    // Production was put back since.
    accept: ['schema-drift'],
  });
  await driver.until(migration, () => folders(there).length === 2);
  // All but that of the drill, which is off site.
  rmSync(join(backups, backupId!), { recursive: true });
  await startOne();
  await other?.kill();
  const ended = await Promise.all([driver.agree(drill), driver.agree(migration)]);
  expect(ended.map(({ outcome, message }) => [outcome, message])).toEqual([
    ['SUCCEEDED', expect.stringContaining('checks held')],
    ['SUCCEEDED', expect.stringContaining('applied in booking/production')],
  ]);
  const linesOf = ({ report }: (typeof ended)[number]) =>
    report.timeline.map(({ title, detail }) => `${title}: ${detail ?? ''}`);
  const fetched = expect.stringMatching(new RegExp(`^Fetch ${backupId} from off site: `)) as string;
  expect(linesOf(ended[0])).toContainEqual(fetched);
  expect(folders(backups)).toContain(backupId);
  // Found on the disk of another host, whose retention knows nothing of it.
  expect(linesOf(ended[1])).toContainEqual(expect.stringMatching(/^Keep it from the retention/));

  const scratches = folders(join(elsewhere, 'scratch')).filter((name) => !name.endsWith('.lock'));
  expect(scratches).toHaveLength(2);
  for (const lines of ended.map(linesOf)) {
    const lost = lines.find((line) => line.startsWith('Host elsewhere is lost: '));
    const left = scratches.find((name) => lost?.includes(`elsewhere/scratch/${name} `));
    expect(lost).toMatch(/The disposable cluster .* not known to be dropped/);
    expect(lines).toContainEqual(
      expect.stringMatching(
        new RegExp(`^Drop the disposable cluster ${left} failed: no worker of host elsewhere`),
      ),
    );
  }
  expect(folders(join(driver.stack.directory, 'scratch'))).toEqual([]);

  const config = { ...driver.stack.config, directory: elsewhere };
  for (const scratch of scratches)
    expect(await createScratchActivities({ config }).dropScratch({ scratch })).toEqual({ dropped: true });
}, 300_000);

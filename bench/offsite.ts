import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { createOffsiteActivities } from '../src/activities/postgres/backups/offsite/offsite-activities';
import { startS3Server, type S3Server } from '../src/local/s3-server';
import type { Bench } from './environment';
import { alternate, median, ratios, round, say, spread, timed, type Results } from './measure';
import { measureRun } from './runs';

const AT_ONCE = 4;
const PLACE = { service: 'booking', environment: 'production' } as const;

/** Our copy off site against the S3 client alone, which sends the same files as many at once, to a server beside. */
export async function measureOffsite(bench: Bench, rounds: number): Promise<Results> {
  const { report } = await measureRun(bench, 'backUpDatabase');
  const backupId = String(report.facts['backupId']);
  const folder = join(bench.directory, 'backups', PLACE.service, PLACE.environment, backupId);
  const s3 = await startS3Server();
  const client = clientOf(s3);
  const seconds = { ours: [] as number[], alone: [] as number[] };
  let buckets = 0;
  const freshBucket = async (): Promise<string> => {
    const Bucket = `bench-${(buckets += 1)}`;
    await client.send(new CreateBucketCommand({ Bucket }));
    return Bucket;
  };
  const ours = async (): Promise<void> => {
    const act = actingOn(bench, s3, await freshBucket());
    const { seconds: took, result } = await timed(() => act.uploadBackup({ ...PLACE, backupId }));
    seconds.ours.push(took);
    say(`uploadBackup ${took.toFixed(2)} s: ${result.detail}`);
  };
  const alone = async (): Promise<void> => {
    const bucket = await freshBucket();
    const { seconds: took } = await timed(() => sendAll(client, bucket, folder));
    seconds.alone.push(took);
    say(`the S3 client alone ${took.toFixed(2)} s`);
  };
  try {
    await alternate(rounds, [ours, alone], bench.settle);
  } finally {
    client.destroy();
    await s3.stop();
  }
  const overheads = ratios(seconds.ours, seconds.alone);
  const bytes = Number(report.facts['backupBytes']);
  return {
    'offsite.overhead': {
      value: round(median(overheads)),
      unit: 'times the time',
      baseline: 1,
      note: `Copy of a backup of ${bytes} bytes with a SHA-256 of each object that is compared with the manifest: ${spread(seconds.ours, 's')}, against the S3 client alone with its own checksum, ${AT_ONCE} files at once, both to versitygw on this machine: ${spread(seconds.alone, 's')}; ratios ${spread(overheads, '')}`,
    },
  };
}

function clientOf({ endpoint, accessKeyId, secretAccessKey }: S3Server): S3Client {
  const credentials = { accessKeyId, secretAccessKey };
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
}

function actingOn({ config }: Bench, s3: S3Server, bucket: string) {
  const { endpoint, accessKeyId, secretAccessKey } = s3;
  const service = config.services[PLACE.service]!;
  const where = { kind: 's3', region: 'us-east-1', prefix: '', forcePathStyle: true, prune: true } as const;
  const offsite = { ...where, bucket, endpoint, accessKeyId, secretAccessKey };
  const backups = { ...service.backups!, offsite };
  const services = { ...config.services, [PLACE.service]: { ...service, backups } };
  return createOffsiteActivities({ config: { ...config, services } });
}

async function sendAll(client: S3Client, bucket: string, folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const queue = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const one = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const params = { Bucket: bucket, Key: path.slice(folder.length + 1), Body: createReadStream(path) };
      await new Upload({ client, params, partSize: 8 * 1024 * 1024, queueSize: 4 }).done();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

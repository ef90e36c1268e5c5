import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { Client } from '@temporalio/client';
import { createDatabaseActivities } from '../../../../src/activities/database';
import { startS3Server, type S3Server } from '../../../../src/local/s3-server';
import { editManifest } from '../../../support/damage';
import {
  runActivity,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import { standIn } from '../../../support/stand-in';
import { storeOf } from './store-world';

export const place = { service: 'shop', environment: 'production' } as const;

export interface OffsiteWorld {
  db: TestDatabase;
  act: ReturnType<typeof createDatabaseActivities>;
  bucket: string;
  /** Folder in which the storage keeps them. */
  objects: string;
  /** IDs of the complete ones. */
  copies: () => string[];
  /** IDs of the runs that are open. */
  running: Set<string>;
  /** Another worker, with an empty disk. */
  worker: () => Promise<Pick<OffsiteWorld, 'db' | 'act'>>;
}

/** A server whose databases are backed up, and a storage of objects beside it. */
export function useOffsite() {
  let pg: TestPostgres;
  let s3: S3Server;
  let client: S3Client;
  let source: TestDatabase;
  beforeAll(async () => {
    [pg, s3] = await Promise.all([
      startTestPostgres({ template: `CREATE TABLE t AS SELECT generate_series(1, 10) AS id` }),
      startS3Server(),
    ]);
    const { accessKeyId, secretAccessKey, endpoint } = s3;
    client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
    source = await pg.fresh();
    await runActivity(createDatabaseActivities(source.deps).backUp, {
      ...source.place,
      backupId: 'origin',
      fence: null,
    });
  });
  afterAll(async () => {
    client?.destroy();
    await Promise.all([pg?.stop(), s3?.stop()]);
  });
  let buckets = 0;

  /** A bucket of its own, and a worker's folder with backups `b1` (oldest) to `bN`, a day apart. */
  async function world(
    count: number,
    { offsite = {}, lock = false, service = {} } = {},
  ): Promise<OffsiteWorld> {
    const bucket = `bucket-${(buckets += 1)}`;
    await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: lock }));
    process.env['TEST_S3_SECRET'] = s3.secretAccessKey;
    const backups = {
      directory: 'backups',
      keep: 1,
      offsite: {
        bucket,
        prefix: 'ours/',
        endpoint: s3.endpoint,
        forcePathStyle: true,
        accessKeyId: s3.accessKeyId,
        secretAccessKey: '${env:TEST_S3_SECRET}',
        ...offsite,
      },
    };
    const running = new Set<string>();
    const worker = async () => {
      const db = await pg.fresh({ service: { backups, ...service } });
      const describe = (id: string) => async () => ({
        status: { name: running.has(id) ? 'RUNNING' : 'COMPLETED' },
      });
      db.deps.client = {
        workflow: { getHandle: (id: string) => ({ describe: describe(id) }) },
      } as unknown as Client;
      return { db, act: createDatabaseActivities(db.deps) };
    };
    const { db, act } = await worker();
    for (let n = 1; n <= count; n += 1) {
      const folder = join(storeOf(db), `b${n}`);
      cpSync(join(storeOf(source), 'origin'), folder, { recursive: true });
      editManifest(folder, (manifest) => {
        manifest.backupId = `b${n}`;
        manifest.snapshotAt = new Date(Date.now() - (count - n + 1) * 86_400_000).toISOString();
      });
      await runActivity(act.uploadBackup, { ...place, backupId: `b${n}` });
    }
    const objects = join(s3.directory, bucket, 'ours/shop/production');
    const copies = () =>
      existsSync(objects)
        ? readdirSync(objects)
            .filter((id) => existsSync(join(objects, id, 'manifest.json')))
            .sort()
        : [];
    return { db, act, bucket, objects, copies, running, worker };
  }

  return {
    client: standIn(() => client),
    source: standIn(() => source),
    world,
    /** The storage behind a listener that hears of each request before it is answered. */
    overhear: async (w: OffsiteWorld, hear: (path: string, method?: string) => unknown) => {
      const server = createServer((request, response) => {
        const { method, headers, url = '' } = request;
        void Promise.resolve(hear(decodeURIComponent(url), method)).then(() =>
          request.pipe(
            httpRequest(s3.endpoint, { path: url, method, headers }, (answer) => {
              response.writeHead(answer.statusCode!, answer.headers);
              answer.pipe(response);
            }),
          ),
        );
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      w.db.deps.config.services['shop']!.backups!.offsite!.endpoint =
        `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      return () => {
        server.closeAllConnections();
        server.close();
      };
    },
  };
}

export const key = (path: string) => `ours/shop/production/${path}`;
export const upload = (w: OffsiteWorld, backupId = 'b1') =>
  runActivity(w.act.uploadBackup, { ...place, backupId });
export const fetchElsewhere = async (w: OffsiteWorld, backupId = 'b1') =>
  runActivity((await w.worker()).act.fetchBackup, { ...place, backupId });

/** Gives a backup a file that needs several parts. */
export function addLargeFile(folder: string): string {
  const content = randomBytes(20_000_000);
  writeFileSync(join(folder, 'data/large.dat'), content);
  editManifest(folder, (manifest) => {
    const sha256 = createHash('sha256').update(content).digest('hex');
    manifest.files.push({ path: 'data/large.dat', bytes: content.length, sha256 });
    manifest.sizeBytes += content.length;
  });
  return join(folder, 'data/large.dat');
}

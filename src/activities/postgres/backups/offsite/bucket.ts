import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type * as S3 from '@aws-sdk/client-s3';
import type * as Storage from '@aws-sdk/lib-storage';
import { serviceOf } from '../../../../config/load';
import type { OffsiteConfig } from '../../../../config/schema';
import { resolveSecrets } from '../../../../config/secrets';
import type { ActivityDeps } from '../../../support/deps';
import { fail } from '../../../support/failure';
import type { FileEntry } from '../manifest';
import { offsiteError } from './offsite-error';

export interface StoredObject {
  /** Below the folder that was listed. */
  path: string;
  bytes: number;
  etag: string;
  modifiedAt: number;
}

/** What the S3 client does for us, with our folder in front of every key. */
export type Bucket = NonNullable<ReturnType<typeof openBucket>>;

/** A part of a multipart upload; what is smaller goes in one request, whose SHA-256 the server checks. */
const PART_BYTES = 8 * 1024 * 1024;
const MAX_PARTS = 9_000;
const MAX_DELETED_AT_ONCE = 1_000;

/** The bucket of a service's backups, undefined where none is configured. */
export function openBucket(deps: ActivityDeps, service: string) {
  const offsite = serviceOf(deps.config, service).backups?.offsite;
  if (offsite === undefined) return undefined;
  const { s3, Upload } = loadClient();
  const client = new s3.S3Client(clientOptions(deps, offsite));
  const { bucket: Bucket, prefix } = offsite;
  const keyOf = (path: string): string => `${prefix}${path}`;
  const where = `s3://${Bucket}/${prefix}`;

  /** Every error says what was done with which object. */
  async function tell<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw offsiteError(error, action, `${where}${path}`);
    }
  }

  const encrypted: Partial<S3.PutObjectCommandInput> =
    offsite.serverSideEncryption === undefined
      ? {}
      : { ServerSideEncryption: offsite.serverSideEncryption, SSEKMSKeyId: offsite.kmsKeyId };
  const kept = (): Partial<S3.PutObjectCommandInput> => ({
    ...encrypted,
    ...(offsite.objectLockDays === undefined
      ? {}
      : {
          ObjectLockMode: 'COMPLIANCE' as const,
          ObjectLockRetainUntilDate: new Date(Date.now() + offsite.objectLockDays * 86_400_000),
        }),
  });

  async function putFile(path: string, file: string, entry: FileEntry, signal: AbortSignal): Promise<void> {
    const target = { Bucket, Key: keyOf(path), Metadata: { sha256: entry.sha256 }, ...kept() };
    if (entry.bytes <= PART_BYTES) {
      const ChecksumSHA256 = Buffer.from(entry.sha256, 'hex').toString('base64');
      const Body = await readFile(file, { signal });
      if (createHash('sha256').update(Body).digest('hex') !== entry.sha256) throw notWhatItWas(entry);
      await client.send(new s3.PutObjectCommand({ ...target, Body, ChecksumSHA256 }), {
        abortSignal: signal,
      });
      return;
    }
    const hashing = whole(entry);
    const upload = new Upload({
      client,
      params: { ...target, Body: hashing, ChecksumAlgorithm: 'SHA256' },
      partSize: Math.max(PART_BYTES, Math.ceil(entry.bytes / MAX_PARTS)),
      queueSize: 4,
    });
    const stop = (): void => void upload.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const reading = pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hashing, { signal });
      const sending = upload.done().catch((error: Error) => {
        hashing.destroy(error);
        throw error;
      });
      // What was sent is taken back before anybody goes on.
      const [read, sent] = await Promise.allSettled([reading, sending]);
      if (read.status === 'rejected') throw read.reason;
      if (sent.status === 'rejected') throw sent.reason;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  return {
    where,
    list: (folder: string): Promise<StoredObject[]> =>
      tell('list', folder, async () => {
        const found: StoredObject[] = [];
        const Prefix = keyOf(folder);
        for await (const page of s3.paginateListObjectsV2({ client }, { Bucket, Prefix }))
          for (const { Key = '', Size = -1, ETag = '', LastModified } of page.Contents ?? [])
            found.push({
              path: Key.slice(Prefix.length),
              bytes: Size,
              etag: ETag,
              modifiedAt: LastModified?.getTime() ?? 0,
            });
        return found;
      }),
    /** Whole objects of ours are small: manifests and marks. */
    text: (path: string): Promise<string> =>
      tell('read', path, async () => {
        const { Body } = await client.send(new s3.GetObjectCommand({ Bucket, Key: keyOf(path) }));
        return (await Body?.transformToString()) ?? '';
      }),
    stream: (path: string, signal: AbortSignal): Promise<Readable> =>
      tell('read', path, async () => {
        const input = { Bucket, Key: keyOf(path) };
        const { Body } = await client.send(new s3.GetObjectCommand(input), { abortSignal: signal });
        return Body as Readable;
      }),
    putText: (path: string, text: string, { locked = true } = {}): Promise<void> =>
      tell('write', path, async () => {
        const rules = locked ? kept() : encrypted;
        const input = {
          Bucket,
          Key: keyOf(path),
          Body: text,
          ChecksumAlgorithm: 'SHA256' as const,
          ...rules,
        };
        await client.send(new s3.PutObjectCommand(input));
      }),
    /** Throws BackupCorrupt where the file is not what its manifest says. */
    putFile: (path: string, file: string, entry: FileEntry, signal: AbortSignal): Promise<void> =>
      tell('copy', path, () => putFile(path, file, entry, signal)),
    /** SHA-256 that it was stored with, and until when nobody can delete it. */
    head: (path: string): Promise<{ sha256?: string | undefined; lockedUntil?: Date | undefined }> =>
      tell('look at', path, async () => {
        const { Metadata, ObjectLockRetainUntilDate } = await client.send(
          new s3.HeadObjectCommand({ Bucket, Key: keyOf(path) }),
        );
        return { sha256: Metadata?.['sha256'], lockedUntil: ObjectLockRetainUntilDate };
      }),
    remove: (folder: string, paths: string[]): Promise<void> =>
      tell('delete', folder, async () => {
        for (let from = 0; from < paths.length; from += MAX_DELETED_AT_ONCE) {
          const Objects = paths
            .slice(from, from + MAX_DELETED_AT_ONCE)
            .map((path) => ({ Key: keyOf(`${folder}${path}`) }));
          const { Errors = [] } = await client.send(
            new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
          );
          if (Errors[0] !== undefined)
            throw new Error(`${Errors[0].Key}: ${Errors[0].Message ?? Errors[0].Code}`);
        }
      }),
    close: (): void => client.destroy(),
  };
}

/**
 * What it is fed, which fails instead of ending where that is not the file of the manifest: before its end there is no
 * object, which nobody who is killed in between could take back.
 */
function whole(entry: FileEntry): Transform {
  const hash = createHash('sha256');
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      next(null, chunk);
    },
    flush(end) {
      end(hash.digest('hex') === entry.sha256 ? null : notWhatItWas(entry));
    },
  });
}

function notWhatItWas({ path }: FileEntry): Error {
  return fail(
    'BackupCorrupt',
    `${path} is not what its manifest says any longer, and was not copied. Take another backup, and find out what the disk did.`,
  );
}

/** Some ten megabytes of memory, and only for those who have a bucket. */
function loadClient() {
  /* eslint-disable @typescript-eslint/no-require-imports */
  const s3 = require('@aws-sdk/client-s3') as typeof S3;
  const { Upload } = require('@aws-sdk/lib-storage') as typeof Storage;
  /* eslint-enable @typescript-eslint/no-require-imports */
  return { s3, Upload };
}

function clientOptions({ config }: ActivityDeps, offsite: OffsiteConfig) {
  const { accessKeyId, secretAccessKey } = offsite;
  return {
    region: offsite.region,
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
    // Everything that is read is compared with the SHA-256 of its manifest.
    responseChecksumValidation: 'WHEN_REQUIRED' as const,
    forcePathStyle: offsite.forcePathStyle,
    ...(offsite.endpoint === undefined ? {} : { endpoint: offsite.endpoint }),
    // Without them the client looks where every AWS tool does: environment, profile, role of the machine.
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: resolveSecrets(accessKeyId, config.directory),
            secretAccessKey: resolveSecrets(secretAccessKey, config.directory),
          },
        }),
  };
}

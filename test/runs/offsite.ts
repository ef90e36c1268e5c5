import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startS3Server, type S3Server } from '../../src/local/s3-server';
import { duringTests } from '../support/stand-in';
import type { Driver } from './harness';

/** A storage of objects, to which the backups of the service are copied: from the first test of a group to its last. */
export function useOffsite(driver: Driver): S3Server {
  const s3 = duringTests(startS3Server);
  beforeAll(async () => {
    const { accessKeyId, secretAccessKey, endpoint } = s3;
    const where = { endpoint, region: 'us-east-1', forcePathStyle: true };
    const client = new S3Client({ ...where, credentials: { accessKeyId, secretAccessKey } });
    await client.send(new CreateBucketCommand({ Bucket: 'backups' }));
    client.destroy();
    const { backups } = driver.stack.config.services['booking']!;
    const bucket = { bucket: 'backups', prefix: '', prune: true, accessKeyId, secretAccessKey };
    backups!.offsite = { ...where, ...bucket, kind: 's3' };
  });
  return s3;
}

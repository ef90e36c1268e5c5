import { ApplicationFailure } from '@temporalio/common';
import { currentActivity } from '../../../support/heartbeat';
import { fail, mapError } from '../../../support/failure';

interface S3Error extends Error {
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

const NEXT: Record<string, string> = {
  NoSuchBucket: 'Create the bucket, or correct backups.offsite.bucket',
  NoSuchKey: 'Look at what is in the bucket',
  NotFound: 'Look at what is in the bucket',
  AccessDenied: 'Give its credentials the rights that docs/operating.md lists',
  Forbidden: 'Give its credentials the rights that docs/operating.md lists',
  InvalidAccessKeyId: 'Correct backups.offsite.accessKeyId',
  SignatureDoesNotMatch: 'Correct backups.offsite.secretAccessKey',
  CredentialsProviderError:
    'Set backups.offsite.accessKeyId and secretAccessKey, or the credentials of the machine',
};

/** What an activity throws when the storage off site fails: tried again where the storage, or the way to it, is ill. */
export function offsiteError(error: unknown, action: string, target: string): Error {
  const { signal } = currentActivity();
  if (signal.aborted) return signal.reason as Error;
  if (error instanceof ApplicationFailure) return error;
  const { name, message, code, $metadata } = error as S3Error;
  // A file of ours, and not the storage.
  if (/^E(NOENT|NOSPC|ACCES|IO)$/.test(code ?? '')) return mapError(error, { action, target });
  const status = $metadata?.httpStatusCode;
  const known = NEXT[name];
  const retryable =
    known === undefined && (status === undefined || status >= 500 || status === 429 || status === 408);
  return fail(
    'OffsiteFailed',
    `Could not ${action} ${target}: ${name === 'Error' ? '' : `${name}: `}${(message || code || 'no answer').replace(/\.$/, '')}. ${known ?? (retryable ? 'Check that the storage can be reached; this is tried again' : 'Correct the cause, then start again')}.`,
    { retryable },
  );
}

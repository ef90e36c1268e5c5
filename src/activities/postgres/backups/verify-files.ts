import { fail } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { missingFiles } from './backup-store';
import { hashFiles } from './hashing';
import type { Manifest } from './manifest';

/**
 * Reads every file of a backup and compares its SHA-256 with the manifest: nothing else finds a truncated or flipped
 * data file before a restore does. Throws BackupCorrupt with the files concerned.
 */
export async function verifyFiles(folder: string, manifest: Manifest): Promise<void> {
  const damaged = (await damagedFiles(folder, manifest)).map(describeDamaged);
  if (damaged.length === 0) return;
  throw fail(
    'BackupCorrupt',
    `Backup ${manifest.backupId} is damaged: ${damaged.slice(0, 5).join('; ')}${damaged.length > 5 ? ` and ${damaged.length - 5} more` : ''}. Use another one, and find out what the disk did.`,
  );
}

interface DamagedFile {
  path: string;
  how: string;
}

export const describeDamaged = ({ path, how }: DamagedFile): string => `${path} ${how}`;

/** What is wrong with each damaged file; empty when all are whole. Nothing is read where some are missing. */
export async function damagedFiles(folder: string, manifest: Manifest): Promise<DamagedFile[]> {
  const missing = await missingFiles(folder, manifest);
  if (missing.length > 0) return missing.map((path) => ({ path, how: 'is missing or has another size' }));
  const { signal } = currentActivity();
  const first = { phase: 'verify checksums', done: 0, total: manifest.sizeBytes, unit: 'bytes' } as const;
  const found = await withProgress(first, (report) =>
    hashFiles(
      folder,
      manifest.files.map(({ path }) => path),
      { jobs: 2, signal, onBytes: (done) => report({ done }) },
    ),
  );
  const hashes = new Map(found.map(({ path, sha256 }) => [path, sha256]));
  return manifest.files
    .filter(({ path, sha256 }) => hashes.get(path) !== sha256)
    .map(({ path }) => ({ path, how: 'has other content' }));
}

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { cacheDirectory } from '../host/cache';
import type { LoadedConfig } from './load';

/** Name of the disk that this worker works on: two workers of one name see each other's backups and disposable clusters. */
export function workerHostOf({ worker, directory }: LoadedConfig): string {
  if (worker.host !== undefined) return worker.host;
  const folders = createHash('sha256').update(`${cacheDirectory()}\n${directory}`).digest('hex').slice(0, 8);
  return `${hostname()}-${folders}`;
}

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/**
 * Makes `directory` a cluster that is the same as the stopped one in `from`: a fifth of the time that a new one takes.
 * It has the same system identifier.
 */
export function copyCluster(from: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  // Keeps the owner, which is not us where we are root. The dot means what is inside; `join` would drop it.
  execFileSync('cp', ['-Rp', `${from}/.`, directory]);
}

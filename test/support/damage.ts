import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../src/activities/postgres/backups/manifest';

/** Flips one bit of a file. Returns what puts it back. */
export function flipByte(path: string, offset: number): () => void {
  const whole = readFileSync(path);
  const damaged = Buffer.from(whole);
  damaged[offset] = damaged[offset]! ^ 0x01;
  writeFileSync(path, damaged);
  return () => writeFileSync(path, whole);
}

/** Rewrites a manifest as if it had been made so, hash included. */
export function editManifest(folder: string, edit: (manifest: Manifest) => void): void {
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
  edit(manifest);
  const text = `${JSON.stringify(manifest, null, 1)}\n`;
  writeFileSync(join(folder, 'manifest.json'), text);
  writeFileSync(join(folder, 'manifest.sha256'), createHash('sha256').update(text).digest('hex'));
}

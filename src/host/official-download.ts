import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, openSync, closeSync } from 'node:fs';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { Progress } from './cache';

const GITHUB = 'https://github.com';

/** An executable in the archives of one release: which, and what each of them must be. */
export interface Release {
  /** Path of the archive below GitHub. */
  path: (system: string) => string;
  /** The executable in it. */
  member: (system: string) => string;
  /** SHA-256 of the archive by system, as in its name: what has none here is not downloaded. */
  sha256: Record<string, string>;
  /** How its archives name macOS. */
  macos: string;
}

export interface OfficialDownload {
  release: Release;
  /** Where the executable goes; it appears there whole or not at all. */
  target: string;
  progress: Progress;
  /** Another address, for tests. */
  baseUrl?: string;
  /** Time for the first answer. Short: where the address cannot be reached, there are other ways. */
  timeoutMs?: number;
}

/**
 * Downloads an executable from its release. Its archive is opened only when it is, byte for byte, the one that was
 * known when this package was made, and then nothing but that one file is read of it. Throws when the address cannot
 * be reached, the archive is another one, or there is none for this system.
 */
export async function downloadOfficial(options: OfficialDownload): Promise<void> {
  const { release, target, progress, baseUrl = GITHUB, timeoutMs = 8_000 } = options;
  const system = systemOf(release);
  const expected = release.sha256[system];
  if (expected === undefined) throw new Error(`no archive for ${system} is known here`);
  const url = `${baseUrl}/${release.path(system)}`;
  const folder = await mkdtemp(`${target}-`);
  try {
    const archive = join(folder, 'archive.tar.gz');
    progress(`Downloading ${basename(url)} ...`);
    const found = await fetchFile(url, archive, timeoutMs, progress);
    if (found !== expected)
      throw new Error(
        `${url} is not what was released: its SHA-256 is ${found}, and not ${expected}. Nothing of it was opened`,
      );
    const fresh = join(folder, 'executable');
    await extract(archive, release.member(system), fresh);
    await chmod(fresh, 0o755);
    await rename(fresh, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function systemOf({ macos }: Release): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return `${process.platform === 'darwin' ? macos : process.platform}_${arch}`;
}

/** To standard output, and from there into the file: whatever names and links an archive has, it writes nowhere else. */
async function extract(archive: string, member: string, file: string): Promise<void> {
  const out = openSync(file, 'wx');
  try {
    const tar = spawn('tar', ['-xzOf', archive, member], { stdio: ['ignore', out, 'pipe'] });
    let said = '';
    tar.stderr?.on('data', (chunk) => (said += String(chunk)));
    const status = await new Promise<number | null>((resolve, reject) => {
      tar.once('error', reject);
      tar.once('close', resolve);
    });
    if (status !== 0) throw new Error(`tar: ${said.trim().split('\n')[0]}`);
  } finally {
    closeSync(out);
  }
}

/** Returns the SHA-256 of what came. */
async function fetchFile(url: string, file: string, timeoutMs: number, progress: Progress): Promise<string> {
  const hash = createHash('sha256');
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(), timeoutMs);
  try {
    const response = await fetch(url, { signal: stalled.signal });
    if (!response.ok || response.body === null) throw new Error(`answered ${response.status}`);
    const total = Number(response.headers.get('content-length') ?? 0);
    let done = 0;
    let shown = Date.now();
    const counter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        done += chunk.length;
        hash.update(chunk);
        clearTimeout(timer);
        timer = setTimeout(() => stalled.abort(), timeoutMs);
        if (Date.now() - shown > 1_000) {
          shown = Date.now();
          progress(`  ${megabytes(done)}${total > 0 ? ` of ${megabytes(total)}` : ''}`);
        }
        next(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body as ReadableStream), counter, createWriteStream(file));
    return hash.digest('hex');
  } catch (error) {
    throw new Error(`${new URL(url).host}: no whole archive came (${reason(error)})`);
  } finally {
    clearTimeout(timer);
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(0)} MB`;

function reason(error: unknown): string {
  const cause = (error as { cause?: { code?: string } }).cause;
  return cause?.code ?? (error as Error).message;
}

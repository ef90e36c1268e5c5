import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { chmod, copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { promisify } from 'node:util';
import type { Progress } from './cache';

const OFFICIAL = 'https://temporal.download';

export interface OfficialDownload {
  artifact: 'cli' | 'temporal-test-server';
  /** Where the executable goes; it appears there whole or not at all. */
  target: string;
  progress: Progress;
  /** Another address, for tests. */
  baseUrl?: string;
  /** Time for the first answer. Short: where the address cannot be reached, there are other ways. */
  timeoutMs?: number;
}

/**
 * Downloads an executable of Temporal from where the SDK's testing package gets it, in the version that belongs to
 * this SDK. Throws when the address cannot be reached or the archive is not what it should be.
 */
export async function downloadOfficial(options: OfficialDownload): Promise<void> {
  const { artifact, target, progress, baseUrl = OFFICIAL, timeoutMs = 8_000 } = options;
  const info = await askWhere(`${baseUrl}/${artifact}/default?${parameters()}`, timeoutMs);
  const folder = await mkdtemp(`${target}-`);
  try {
    const archive = join(folder, info.archiveUrl.endsWith('.zip') ? 'archive.zip' : 'archive.tar.gz');
    progress(`Downloading ${basename(new URL(info.archiveUrl).pathname)} ...`);
    await fetchFile(info.archiveUrl, archive, timeoutMs, progress);
    // bsdtar (macOS) reads both kinds; on Linux the archives are tar.gz.
    await promisify(execFile)('tar', ['-xf', archive, '-C', folder]);
    const fresh = join(folder, 'executable');
    await copyFile(join(folder, info.fileToExtract), fresh);
    await chmod(fresh, 0o755);
    await rename(fresh, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function askWhere(
  url: string,
  timeoutMs: number,
): Promise<{ archiveUrl: string; fileToExtract: string }> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) }).catch((error: unknown) => {
    throw new Error(`${new URL(url).host} cannot be reached (${reason(error)})`);
  });
  if (!response.ok) throw new Error(`${new URL(url).host} answered ${response.status}`);
  const info = (await response.json()) as { archiveUrl?: unknown; fileToExtract?: unknown };
  if (typeof info.archiveUrl !== 'string' || typeof info.fileToExtract !== 'string') {
    throw new Error(`${new URL(url).host} did not say where the archive is`);
  }
  return { archiveUrl: info.archiveUrl, fileToExtract: info.fileToExtract };
}

async function fetchFile(url: string, file: string, timeoutMs: number, progress: Progress): Promise<void> {
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(), timeoutMs);
  try {
    const response = await fetch(url, { signal: stalled.signal });
    if (!response.ok || response.body === null)
      throw new Error(`${new URL(url).host} answered ${response.status}`);
    const total = Number(response.headers.get('content-length') ?? 0);
    let done = 0;
    let shown = Date.now();
    const counter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        done += chunk.length;
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
  } catch (error) {
    throw new Error(`${new URL(url).host}: the download broke off (${reason(error)})`);
  } finally {
    clearTimeout(timer);
  }
}

function parameters(): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { version } = require('@temporalio/client/package.json') as { version: string };
  const platform = process.platform === 'darwin' ? 'darwin' : 'linux';
  return String(
    new URLSearchParams({
      arch,
      platform,
      format: 'tar.gz',
      'sdk-name': 'sdk-typescript',
      'sdk-version': version,
    }),
  );
}

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(0)} MB`;

function reason(error: unknown): string {
  const cause = (error as { cause?: { code?: string } }).cause;
  return cause?.code ?? (error as Error).message;
}

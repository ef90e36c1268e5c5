import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FileEntry } from './manifest';

interface HashOptions {
  /** Threads. */
  jobs: number;
  signal?: AbortSignal;
  /** Hears the bytes of all files that are done so far. */
  onBytes?: (done: number) => void;
}

/** Below this, starting threads takes longer than hashing. */
const WORTH_THREADS_BYTES = 32 * 1024 * 1024;

/**
 * SHA-256 and size of files below a folder, sorted by path. Hashing is as much work as dumping without compression, so
 * large backups are hashed on threads of their own: on all cores, and not in the way of heartbeats.
 */
export async function hashFiles(folder: string, paths: string[], options: HashOptions): Promise<FileEntry[]> {
  const sizes = await Promise.all(
    paths.map(async (path) => ({ path, bytes: (await stat(join(folder, path))).size })),
  );
  // The largest first: what is left at the end is small.
  const queue = sizes.sort((a, b) => b.bytes - a.bytes);
  const large = queue.reduce((sum, { bytes }) => sum + bytes, 0) >= WORTH_THREADS_BYTES;
  const done: FileEntry[] = [];
  let total = 0;
  const work = async (): Promise<void> => {
    const hasher = large
      ? hashingThread(options.signal)
      : { hash: (path: string) => hashHere(path, options.signal), stop: () => undefined };
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        options.signal?.throwIfAborted();
        const { bytes, sha256 } = await hasher.hash(join(folder, next.path));
        done.push({ path: next.path, bytes, sha256 });
        options.onBytes?.((total += bytes));
      }
    } finally {
      hasher.stop();
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.jobs, Math.max(1, queue.length)) }, work));
  return done.sort((a, b) => (a.path < b.path ? -1 : 1));
}

type Hashed = Pick<FileEntry, 'bytes' | 'sha256'>;

async function hashHere(path: string, signal?: AbortSignal): Promise<Hashed> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** As text, because a thread needs a file of its own, and which one depends on how this code was compiled. */
const THREAD_SOURCE = `
  const { parentPort } = require('node:worker_threads');
  const { createHash } = require('node:crypto');
  const { openSync, readSync, closeSync } = require('node:fs');
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  parentPort.on('message', (path) => {
    try {
      const file = openSync(path, 'r');
      const hash = createHash('sha256');
      let bytes = 0;
      try {
        for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
          hash.update(read === buffer.length ? buffer : buffer.subarray(0, read));
          bytes += read;
        }
      } finally {
        closeSync(file);
      }
      parentPort.postMessage({ bytes, sha256: hash.digest('hex') });
    } catch (error) {
      parentPort.postMessage({ code: error.code, message: error.message });
    }
  });
`;

function hashingThread(signal?: AbortSignal) {
  const thread = new Worker(THREAD_SOURCE, { eval: true });
  const stop = (): void => void thread.terminate();
  signal?.addEventListener('abort', stop, { once: true });
  return {
    hash: (path: string): Promise<Hashed> =>
      new Promise((resolve, reject) => {
        const ended = (): void =>
          reject((signal?.reason as Error | undefined) ?? new Error('a hashing thread ended'));
        thread.once('exit', ended);
        thread.once('error', reject);
        thread.once('message', (answer: Hashed | { code: string; message: string }) => {
          thread.off('exit', ended);
          thread.off('error', reject);
          if ('sha256' in answer) resolve(answer);
          else reject(Object.assign(new Error(answer.message), { code: answer.code }));
        });
        thread.postMessage(path);
      }),
    stop: (): void => {
      signal?.removeEventListener('abort', stop);
      stop();
    },
  };
}

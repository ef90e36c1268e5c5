import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashFiles } from '../../../../src/activities/postgres/backups/hashing';
import { failureOf } from '../../../support/postgres';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dr-hash-'));
  writeFileSync(join(folder, 'large'), Buffer.alloc(40 * 1024 * 1024 + 7, 'abc'));
  writeFileSync(join(folder, 'small'), 'hello');
  writeFileSync(join(folder, 'empty'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');

test.each([
  ['here', ['small', 'empty']],
  ['on threads', ['small', 'large', 'empty']],
])('hashes %s what sha256sum would', async (_where, paths) => {
  const heard: number[] = [];
  const entries = await hashFiles(folder, paths, { jobs: 2, onBytes: (done) => heard.push(done) });
  const expected: Record<string, object> = {
    empty: { path: 'empty', bytes: 0, sha256: sha256('') },
    large: {
      path: 'large',
      bytes: 40 * 1024 * 1024 + 7,
      sha256: sha256(Buffer.alloc(40 * 1024 * 1024 + 7, 'abc')),
    },
    small: { path: 'small', bytes: 5, sha256: sha256('hello') },
  };
  expect(entries).toEqual([...paths].sort().map((path) => expected[path]));
  expect(heard).toHaveLength(paths.length);
});

test('a cancellation ends the threads and is what is thrown', async () => {
  writeFileSync(join(folder, 'huge'), '');
  truncateSync(join(folder, 'huge'), 4 * 1024 * 1024 * 1024);
  const controller = new AbortController();
  const heard: number[] = [];
  const hashing = hashFiles(folder, ['huge', 'large'], {
    jobs: 2,
    signal: controller.signal,
    onBytes: (done) => heard.push(done),
  });
  setTimeout(() => controller.abort(new Error('stop now')), 300);
  expect((await failureOf(hashing)).message).toBe('stop now');
  // The huge one was never finished.
  expect(heard.length).toBeLessThan(2);
});

test('a file that cannot be read is an error, also on a thread', async () => {
  await expect(hashFiles(folder, ['large', 'gone'], { jobs: 2 })).rejects.toMatchObject({ code: 'ENOENT' });
});

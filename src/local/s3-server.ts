/** An S3 server on a folder: what tests and benchmarks copy backups to. For these only. */
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachePath, type Progress } from '../host/cache';
import { freePort, logTail, spawnGuarded, type Guarded } from '../host/guardian';
import { isListening } from '../host/listening';
import { isExecutable } from '../host/user';
import { goInstall } from './go-install';
import type { Executable } from './temporal-cli';

const VERSION = 'v1.8.0';
const MODULE = `github.com/versity/versitygw/cmd/versitygw@${VERSION}`;

export class S3ServerNotFound extends Error {
  constructor(problem: string) {
    super(
      `versitygw, the S3 server of the tests, was not found and could not be built: ${problem}\n` +
        `Set VERSITYGW_PATH to its executable, or install Go 1.25 or newer so that it can be built here.`,
    );
    this.name = 'S3ServerNotFound';
  }
}

/** Finds it (VERSITYGW_PATH, our cache), else builds it with Go. Throws S3ServerNotFound. */
export async function obtainS3Server(progress: Progress = () => undefined): Promise<Executable> {
  const named = process.env['VERSITYGW_PATH'];
  if (named !== undefined && named !== '') {
    if (await isExecutable(named)) return { path: named, version: 'what is there', source: 'VERSITYGW_PATH' };
    throw new S3ServerNotFound(`VERSITYGW_PATH: ${named} is no executable file`);
  }
  const target = cachePath('bin', `versitygw-${VERSION}`);
  if (await isExecutable(target)) return { path: target, version: VERSION, source: 'our cache' };
  try {
    await goInstall({ module: MODULE, target, name: 'versitygw', progress });
  } catch (error) {
    throw new S3ServerNotFound((error as Error).message);
  }
  return { path: target, version: VERSION, source: `go install ${MODULE}` };
}

export interface S3Server {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Its objects are files below it, by bucket and key. */
  directory: string;
  process: Guarded;
  /** Stops it and removes everything. */
  stop(): Promise<void>;
}

const START_MS = 20_000;

export async function startS3Server(): Promise<S3Server> {
  const { path } = await obtainS3Server();
  const base = mkdtempSync(join(tmpdir(), 'runbooks-s3-'));
  const folders = ['objects', 'versions', 'attributes'].map((name) => join(base, name));
  for (const folder of folders) mkdirSync(folder);
  const [objects = '', versions = '', attributes = ''] = folders;
  const port = await freePort();
  const keys = { accessKeyId: 'test-access', secretAccessKey: 'test-secret-key' };
  const process = await spawnGuarded({
    program: path,
    args: [
      ...['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive'],
      // Attributes beside the files: not every file system has its own.
      ...['posix', '--versioning-dir', versions, '--sidecar', attributes, objects],
    ],
    environment: { ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey },
    logFile: join(base, 'log'),
  });
  const stop = async (): Promise<void> => {
    await process.kill();
    rmSync(base, { recursive: true, force: true, maxRetries: 5 });
  };
  for (const until = Date.now() + START_MS; process.running() && Date.now() < until;) {
    if (await isListening({ port, host: '127.0.0.1' }))
      return { ...keys, endpoint: `http://127.0.0.1:${port}`, directory: objects, process, stop };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const said = logTail(join(base, 'log'), 5);
  await stop();
  throw new Error(`the S3 server does not listen: ${said}`);
}

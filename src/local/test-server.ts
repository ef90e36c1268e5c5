/** The time-skipping test server: workflow tests pass days of waiting in milliseconds. For tests only. */
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachePath, type Progress } from '../host/cache';
import { downloadOfficial, type Release } from '../host/official-download';
import type { Executable } from './temporal-cli';
import { isExecutable, runAsUser } from '../host/user';

/** 1.31 mishandled rejected Updates. */
const VERSION = '1.38.0';
const RELEASE: Release = {
  path: (system) =>
    `temporalio/sdk-java/releases/download/v${VERSION}/temporal-test-server_${VERSION}_${system}.tar.gz`,
  member: (system) => `temporal-test-server_${VERSION}_${system}/temporal-test-server`,
  macos: 'macOS',
  sha256: { linux_amd64: '41df834fe8e1ac59619e13908f41b63e4d1054f37634a2f89033d8cf6af71b96' },
};

export class TestServerNotFound extends Error {
  constructor(problems: string[]) {
    super(
      `The time-skipping test server was not found and could not be obtained.\n  ${problems.join('\n  ')}\n` +
        `Set TEMPORAL_TEST_SERVER_PATH to its executable, or install Java 11 or newer and Maven ` +
        `(Debian, Ubuntu: apt-get install default-jre-headless maven) so that it can be fetched here.`,
    );
    this.name = 'TestServerNotFound';
  }
}

const cachedDownload = (): string => cachePath('bin', 'temporal-test-server');
const cachedJars = (): string => cachePath(`temporal-test-server-${VERSION}`);
const wrapperIn = (folder: string): string => join(folder, 'temporal-test-server');

/** Finds the test server: TEMPORAL_TEST_SERVER_PATH, our cache. Undefined where it must be obtained first. */
export async function findTestServer(): Promise<Executable | undefined> {
  const named = process.env['TEMPORAL_TEST_SERVER_PATH'];
  if (named !== undefined && named !== '') {
    if (await isExecutable(named)) return found(named, 'TEMPORAL_TEST_SERVER_PATH');
    throw new TestServerNotFound([`TEMPORAL_TEST_SERVER_PATH: ${named} is no executable file`]);
  }
  for (const path of [cachedDownload(), wrapperIn(cachedJars())]) {
    if (await isExecutable(path)) return found(path, 'our cache');
  }
  return undefined;
}

/** Finds the test server, else downloads the official one, else fetches it with Maven. Throws TestServerNotFound. */
export async function obtainTestServer(
  options: { progress?: Progress; baseUrl?: string; release?: Release } = {},
): Promise<Executable> {
  const { progress = () => undefined, baseUrl, release = RELEASE } = options;
  const existing = await findTestServer();
  if (existing !== undefined) return existing;
  const problems = ['our cache: it is not there'];
  const ways: [source: string, way: () => Promise<string>][] = [
    [
      'the official download',
      async () => {
        await downloadOfficial({ release, target: cachedDownload(), progress, baseUrl });
        return cachedDownload();
      },
    ],
    [`Maven, io.temporal:temporal-test-server:${VERSION}`, fetchWithMaven],
  ];
  for (const [source, way] of ways) {
    try {
      progress(`Time-skipping test server: trying ${source} ...`);
      return found(await way(), source);
    } catch (error) {
      problems.push(`${source}: ${(error as Error).message}`);
    }
  }
  throw new TestServerNotFound(problems);
}

async function fetchWithMaven(): Promise<string> {
  for (const program of ['java', 'mvn']) {
    await runAsUser(program, ['-version']).catch(() => {
      throw new Error(`there is no \`${program}\` on PATH`);
    });
  }
  const target = cachedJars();
  const folder = await mkdtemp(`${target}-`);
  try {
    await writeFile(join(folder, 'pom.xml'), POM);
    const arguments_ = ['-B', '-q', '-f', join(folder, 'pom.xml'), 'dependency:copy-dependencies'];
    arguments_.push('-DincludeScope=runtime', `-DoutputDirectory=${join(folder, 'lib')}`);
    await runAsUser('mvn', arguments_, { timeoutMs: 300_000 });
    await writeFile(wrapperIn(folder), WRAPPER, { mode: 0o755 });
    await chmod(wrapperIn(folder), 0o755);
    await chmod(folder, 0o755);
    await rm(target, { recursive: true, force: true });
    await rename(folder, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return wrapperIn(target);
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>durable-runbooks</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;

/** Ends with its parent: the SDK stops it in the ordinary case, but not when the tests are killed. */
const WRAPPER = `#!/bin/sh
parent=$PPID
(
  while kill -0 "$parent" && kill -0 $$; do sleep 1; done
  kill -s KILL $$
) >/dev/null 2>&1 </dev/null &
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$(dirname "$0")/lib/*" io.temporal.testserver.TestServer "$@"
`;

const found = (path: string, source: string): Executable => ({
  path,
  version: `${VERSION} or what is there`,
  source,
});

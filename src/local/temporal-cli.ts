import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { cachePath, type Progress } from '../host/cache';
import { downloadOfficial, type Release } from '../host/official-download';
import { isExecutable, runAsUser } from '../host/user';
import { goInstall } from './go-install';

/** Newer versions of the CLI carry replace directives and cannot be installed with Go. */
const VERSION = '1.5.1';
const GO_MODULE = `github.com/temporalio/cli/cmd/temporal@v${VERSION}`;
/** As published beside them in checksums.txt. */
const RELEASE: Release = {
  path: (system) => `temporalio/cli/releases/download/v${VERSION}/temporal_cli_${VERSION}_${system}.tar.gz`,
  member: () => 'temporal',
  macos: 'darwin',
  sha256: {
    linux_amd64: 'ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d',
    linux_arm64: 'bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5',
    darwin_amd64: 'bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9',
    darwin_arm64: 'cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415',
  },
};
const MINIMUM_SERVER: readonly [number, number] = [1, 27];

export interface Executable {
  path: string;
  /** As it names itself, for people. */
  version: string;
  /** Where it was found, for people. */
  source: string;
}

/** Thrown when there is no Temporal CLI and none of the ways to get one works. Names them all. */
export class TemporalNotFound extends Error {
  constructor(problems: string[]) {
    super(
      `No Temporal CLI with server ${MINIMUM_SERVER.join('.')} or newer was found and none could be obtained.\n` +
        `  ${problems.join('\n  ')}\n` +
        `Install it (brew install temporal, or see docs.temporal.io/cli) so that \`temporal\` is on PATH, set ` +
        `TEMPORAL_CLI_PATH to its executable, or install Go 1.24 or newer so that it can be built here.`,
    );
    this.name = 'TemporalNotFound';
  }
}

export const cachedCli = (): string => cachePath('bin', 'temporal');

/**
 * Finds the Temporal CLI without fetching anything: TEMPORAL_CLI_PATH (must be usable when set), PATH and Go's folder
 * for programs, our cache. Returns undefined where there is none; what was unusable is added to `problems`.
 */
export async function findTemporalCli(problems: string[] = []): Promise<Executable | undefined> {
  const named = process.env['TEMPORAL_CLI_PATH'];
  if (named !== undefined && named !== '') {
    const cli = await inspect(named, 'TEMPORAL_CLI_PATH', problems);
    if (cli === undefined) throw new TemporalNotFound(problems);
    return cli;
  }
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...goFolders()].filter(
    (name) => name !== '',
  )) {
    const path = join(folder, 'temporal');
    if (!(await isExecutable(path))) continue;
    const cli = await inspect(path, 'PATH', problems);
    if (cli !== undefined) return cli;
  }
  problems.push('PATH: no usable `temporal` on it');
  if (await isExecutable(cachedCli())) return inspect(cachedCli(), 'our cache', problems);
  problems.push(`our cache: ${cachedCli()} is not there`);
  return undefined;
}

export interface ObtainOptions {
  progress?: Progress;
  /** Another address of the official download, and what is there, for tests. */
  baseUrl?: string;
  release?: Release;
}

/**
 * Finds the Temporal CLI, else downloads the official one into our cache, else builds it there with Go (about four
 * minutes, once). Throws TemporalNotFound.
 */
export async function obtainTemporalCli({
  progress = () => undefined,
  baseUrl,
  release = RELEASE,
}: ObtainOptions = {}): Promise<Executable> {
  const problems: string[] = [];
  const found = await findTemporalCli(problems);
  if (found !== undefined) return found;
  const target = cachedCli();
  const ways: [source: string, way: () => Promise<void>][] = [
    ['the official download', () => downloadOfficial({ release, target, progress, baseUrl })],
    [
      `go install ${GO_MODULE}`,
      () => goInstall({ module: GO_MODULE, target, name: 'the Temporal CLI', progress }),
    ],
  ];
  for (const [source, way] of ways) {
    try {
      progress(`Temporal CLI: trying ${source} ...`);
      await way();
      const cli = await inspect(target, source, problems);
      if (cli !== undefined) return cli;
    } catch (error) {
      problems.push(`${source}: ${(error as Error).message}`);
    }
  }
  throw new TemporalNotFound(problems);
}

function goFolders(): string[] {
  const { GOBIN, GOPATH } = process.env;
  const parents = (GOPATH ?? join(homedir(), 'go')).split(delimiter);
  return [GOBIN ?? '', ...parents.map((parent) => join(parent, 'bin'))];
}

async function inspect(path: string, source: string, problems: string[]): Promise<Executable | undefined> {
  try {
    const version = (await runAsUser(path, ['--version'])).trim().split('\n')[0] ?? '';
    const server = /Server (\d+)\.(\d+)/.exec(version);
    if (server === null) problems.push(`${source}: ${path} is not the Temporal CLI (it says "${version}")`);
    else if (tooOld(Number(server[1]), Number(server[2])))
      problems.push(`${source}: ${path} is too old (${version})`);
    else return { path, version, source };
  } catch (error) {
    problems.push(`${source}: ${path} does not run: ${(error as Error).message}`);
  }
  return undefined;
}

const tooOld = (major: number, minor: number): boolean =>
  major < MINIMUM_SERVER[0] || (major === MINIMUM_SERVER[0] && minor < MINIMUM_SERVER[1]);

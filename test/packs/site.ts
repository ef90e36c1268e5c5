import { execFile, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../src/config/version';

const run = promisify(execFile);

export interface Result {
  code: number;
  output: string;
}

/** A folder outside of this repository in which the packed package is installed. */
export interface Site {
  directory: string;
  /** Runs a program there, or in a folder of it. */
  exec(program: string, args: string[], folder?: string): Promise<Result>;
  runbooks(...args: string[]): Promise<Result>;
  /** A process that runs until it is ended. */
  spawn(...args: string[]): ChildProcess;
  write(path: string, text: string): void;
  remove(): void;
}

/**
 * Packs what was built and unpacks it as npm would install it. Its dependencies are links to ours: the same copies, and
 * no registry.
 */
export async function createSite(): Promise<Site> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'runbooks-site-')));
  const modules = join(directory, 'node_modules');
  linkDependencies(modules);
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', directory],
    { cwd: PACKAGE_ROOT, maxBuffer: 64 * 1024 * 1024 },
  );
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  const installed = join(modules, 'durable-runbooks');
  mkdirSync(installed);
  await run('tar', ['-xzf', join(directory, filename), '-C', installed, '--strip-components=1']);
  const command = join(installed, 'dist/src/cli/main.js');
  chmodSync(command, 0o755);
  symlinkSync(command, join(modules, '.bin', 'runbooks'));
  const {
    RUNBOOKS_CONFIG: _config,
    TEMPORAL_ADDRESS: _address,
    NODE_OPTIONS: _options,
    ...outside
  } = process.env;
  const env = { ...outside, PATH: `${join(modules, '.bin')}:${process.env['PATH'] ?? ''}` };
  const exec: Site['exec'] = async (program, args, folder = '.') => {
    try {
      const options = { cwd: join(directory, folder), env, maxBuffer: 16 * 1024 * 1024 };
      const { stdout: out, stderr } = await run(program, args, options);
      return { code: 0, output: `${out}${stderr}` };
    } catch (error) {
      const {
        code,
        stdout: out = '',
        stderr = '',
      } = error as { code?: number; stdout?: string; stderr?: string };
      return { code: code ?? -1, output: `${out}${stderr}` };
    }
  };
  return {
    directory,
    exec,
    runbooks: (...args) => exec(process.execPath, [command, ...args]),
    spawn: (...args) => spawn(process.execPath, [command, ...args], { cwd: directory, env }),
    write: (path, text) => {
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function linkDependencies(modules: string): void {
  mkdirSync(join(modules, '.bin'), { recursive: true });
  const ours = join(PACKAGE_ROOT, 'node_modules');
  for (const name of readdirSync(ours)) {
    if (name.startsWith('.')) continue;
    if (!name.startsWith('@')) {
      symlinkSync(realpathSync(join(ours, name)), join(modules, name));
      continue;
    }
    mkdirSync(join(modules, name));
    for (const scoped of readdirSync(join(ours, name)))
      symlinkSync(realpathSync(join(ours, name, scoped)), join(modules, name, scoped));
  }
  for (const program of ['tsc', 'eslint'])
    symlinkSync(realpathSync(join(ours, '.bin', program)), join(modules, '.bin', program));
}

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isRoot } from './cache';

/** An operating-system user that child processes can run as. */
export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The unprivileged user that runs our PostgreSQL when we are root (`postgres` if it exists, else `nobody`);
 * undefined when we are not root and PostgreSQL runs as ourselves.
 */
export function clusterUser(): SystemUser | undefined {
  if (!isRoot()) return undefined;
  const user = lookUp('postgres') ?? lookUp('nobody');
  if (user === undefined) {
    throw new Error(
      'PostgreSQL refuses to run as root, and neither user "postgres" nor "nobody" exists. Add one.',
    );
  }
  return user;
}

function lookUp(name: string): SystemUser | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  if (line === undefined) return undefined;
  const [, , uid, gid] = line.split(':');
  return { name, uid: Number(uid), gid: Number(gid) };
}

export interface ToolOptions {
  user?: SystemUser;
  directory?: string;
  environment?: NodeJS.ProcessEnv;
  timeoutMs?: number;
}

/** Thrown when a program that we ran to the end failed. */
export class ToolFailed extends Error {
  constructor(
    readonly program: string,
    readonly exitCode: number | undefined,
    readonly output: string,
  ) {
    super(
      `${program} failed (${exitCode === undefined ? 'not run or killed' : `status ${exitCode}`}): ${output.trim()}`,
    );
    this.name = 'ToolFailed';
  }
}

const run = promisify(execFile);

/**
 * Runs a short program to its end, as `user` where given, and returns its stdout.
 * @throws ToolFailed with the end of what it printed
 */
export async function runAsUser(program: string, args: string[], options: ToolOptions = {}): Promise<string> {
  try {
    const { stdout } = await run(program, args, {
      cwd: options.directory ?? '/',
      env: options.environment ?? process.env,
      timeout: options.timeoutMs ?? 60_000,
      maxBuffer: 64 * 1024 * 1024,
      ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
    });
    return stdout;
  } catch (error) {
    const { code, stdout, stderr, message } = error as Error & {
      code?: unknown;
      stdout?: string;
      stderr?: string;
    };
    const output = `${stdout ?? ''}\n${stderr ?? ''}`.trim();
    throw new ToolFailed(
      program,
      typeof code === 'number' ? code : undefined,
      (output || message).slice(-2_000),
    );
  }
}

/** Whether a file is there and we may run it. */
export function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

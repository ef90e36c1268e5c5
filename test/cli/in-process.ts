/** Runs the command in this process, each call with an output, environment and exit code of its own. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Writable } from 'node:stream';
import type { CliResult } from './harness';

/** What the command sees of its process. */
interface Seen {
  stdout: Writable;
  stderr: Writable;
  env: NodeJS.ProcessEnv;
  exitCode: typeof process.exitCode;
}

/** Output so far. */
export type Written = Pick<CliResult, 'stdout' | 'stderr'>;

const calls = new AsyncLocalStorage<Seen>();
const SEEN = ['stdout', 'stderr', 'env'] as const;

/** Shows a running command its own process, and everybody else the real one. */
function intercept(): () => void {
  const own = SEEN.map((key) => [key, Object.getOwnPropertyDescriptor(process, key)!] as const);
  for (const [key, { get, set, value }] of own) {
    let real: unknown = value;
    Object.defineProperty(process, key, {
      configurable: true,
      enumerable: true,
      get: () => {
        const call = calls.getStore();
        if (call !== undefined) return call[key];
        return get === undefined ? real : get.call(process);
      },
      set: (given: never) => {
        const call = calls.getStore();
        if (call !== undefined) call[key] = given;
        else if (set === undefined) real = given;
        else set.call(process, given);
      },
    });
  }
  // The exit code cannot be redefined: ours is behind the name.
  const real = process;
  globalThis.process = new Proxy(real, {
    get: (target, key) => {
      const call = calls.getStore();
      return key === 'exitCode' && call !== undefined ? call.exitCode : (Reflect.get(target, key) as unknown);
    },
    set: (target, key, value: never) => {
      const call = calls.getStore();
      if (key !== 'exitCode' || call === undefined) return Reflect.set(target, key, value);
      call.exitCode = value;
      return true;
    },
  });
  return () => {
    globalThis.process = real;
    for (const [key, descriptor] of own) Object.defineProperty(real, key, descriptor);
  };
}

export async function runInProcess(
  args: string[],
  { env, cwd, written }: { env: NodeJS.ProcessEnv; cwd: string; written: Written },
): Promise<CliResult> {
  const { main } = await import('../../src/cli/main.js');
  const into = (name: keyof Written): Writable =>
    new Writable({
      decodeStrings: false,
      write: (chunk: string, _encoding, done) => {
        written[name] += String(chunk);
        done();
      },
    });
  const call: Seen = {
    stdout: into('stdout'),
    stderr: into('stderr'),
    env: { ...env },
    exitCode: undefined,
  };
  // Of the whole process: paths are resolved by Node, which asks nobody else.
  process.chdir(cwd);
  await calls.run(call, () => main(args));
  return { code: Number(call.exitCode ?? 0), ...written };
}

let restore: (() => void) | undefined;
const home = process.cwd();
beforeAll(() => (restore = intercept()));
afterAll(() => {
  restore?.();
  process.chdir(home);
});

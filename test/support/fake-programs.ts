/** Programs that only print who they are, in a folder of the test, and nothing of what this machine has. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const NAMED = ['TEMPORAL_CLI_PATH', 'TEMPORAL_TEST_SERVER_PATH', 'PG_BIN', 'GOBIN', 'VERSITYGW_PATH'];

export function useFakePrograms() {
  const before = { ...process.env };
  let base = '';
  const at = (...names: string[]) => join(base, ...names);
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'programs-'));
    chmodSync(base, 0o755);
    process.env['RUNBOOKS_CACHE'] = at('cache');
    process.env['GOPATH'] = at('go');
    for (const name of NAMED) delete process.env[name];
  });
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
    rmSync(base, { recursive: true, force: true });
  });

  const program = (path: string, prints: string): string => {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, `#!/bin/sh\necho '${prints}'\n`, { mode: 0o755 });
    return path;
  };
  return {
    before,
    /** A path in the folder of the test. */
    at,
    program,
    cli: (path: string, server = '1.29.1') =>
      program(path, `temporal version 1.5.1 (Server ${server}, UI 2.42.1)`),
    /** PATH with only the given folders and what a shell script needs. */
    onlyOnPath: (...folders: string[]): void => {
      mkdirSync(at('tools'));
      for (const name of ['sh', 'tar', 'gzip', 'dirname', 'sleep'])
        symlinkSync(execFileSync('which', [name], { env: before }).toString().trim(), at('tools', name));
      process.env['PATH'] = [...folders, at('tools')].join(delimiter);
    },
  };
}

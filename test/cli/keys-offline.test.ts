import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { runCli, temporaryFolder } from './harness';

const folder = temporaryFolder();
const env = { XDG_CONFIG_HOME: join(folder.path, 'config'), HOME: folder.path, SSH_AUTH_SOCK: '' };
const cli = (...args: string[]) => runCli(args, { cwd: folder.path, env });

beforeAll(() => mkdirSync(env.XDG_CONFIG_HOME));
afterAll(() => folder.remove());

it('prints a line that the configuration can be given, whatever the name is to YAML', async () => {
  for (const by of ['@zoe', 'null', '7']) {
    const { stdout } = await cli('keys', 'create', '--by', by);
    expect(parse(stdout)).toEqual({ keys: { [by]: [expect.stringMatching(/^ssh-ed25519 /)] } });
  }
});

it('lists keys without a sound configuration, and says what it therefore does not know', async () => {
  await cli('keys', 'create', '--by', 'ada');
  const file = join(folder.path, 'broken.yaml');
  writeFileSync(file, 'services: [\nx: 1\n');
  const { code, stdout, stderr } = await cli('--config', file, 'keys', 'list');
  expect([code, stdout]).toEqual([0, expect.stringContaining('keys/ada')]);
  // The line stands at its beginning, and there alone.
  expect(stderr).toMatch(
    /^! .*broken\.yaml has 1 problem:\n {2}line \d+: (?!.*line).*[^:]\nSo whose they are/,
  );
});

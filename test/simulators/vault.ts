/** Another application than the sample: one key at a time opens it, and its store is a program of its own over plain files. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve } from '../support/local-server';

/** Verbs: versions, add, activate, retire, restore. A value lies in a file under the name of its version, and is never printed. */
const PROGRAM = `
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
const [verb] = process.argv.slice(2);
const { VERSION: version } = process.env;
const read = () => JSON.parse(readFileSync('vault/state.json', 'utf8'));
const write = (all) => writeFileSync('vault/state.json', JSON.stringify(all));
const all = read();
const one = all.find((each) => each.version === version);
if (verb === 'versions') console.log(JSON.stringify(all));
else if (verb === 'add' && one === undefined) {
  writeFileSync('vault/' + version, readFileSync(0, 'utf8'), { mode: 0o600 });
  write([...all, { version, createdAt: new Date().toISOString(), state: 'retired' }]);
} else if (verb === 'activate') write(all.map((each) => ({ ...each, state: each.version === version ? 'active' : 'retired' })));
`;

export interface Vault {
  url: string;
  /** The section of the configuration: a swap, with requests as probes. */
  settings: Record<string, unknown>;
  versions: () => { version: string; state: string }[];
  valueOf: (version: string) => string;
  /** Refuses every key but that of this version, as an application that was not restarted. */
  pin: (version: string | undefined) => void;
  stop: () => Promise<void>;
}

/** In the folder of a configuration. */
export async function startVault(directory: string): Promise<Vault> {
  const folder = join(directory, 'vault');
  if (!existsSync(folder)) mkdirSync(folder);
  writeFileSync(join(folder, 'vault.mjs'), PROGRAM);
  const first = { version: 'first', createdAt: '2020-01-01T00:00:00Z', state: 'active' };
  writeFileSync(join(folder, 'state.json'), JSON.stringify([first]));
  writeFileSync(join(folder, 'first'), 'the-first-value-of-the-vault');
  let pinned: string | undefined;
  const versions: Vault['versions'] = () =>
    JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')) as { version: string; state: string }[];
  const valueOf = (version: string): string => readFileSync(join(folder, version), 'utf8');
  const server = await serve((request, response) => {
    const opens = pinned ?? versions().find(({ state }) => state === 'active')!.version;
    const known = request.headers['x-key'] === valueOf(opens);
    response.writeHead(known ? 200 : 403).end(`your key was ${String(request.headers['x-key'])}`);
  });
  const program = (verb: string) => ({
    run: [process.execPath, 'vault/vault.mjs', verb],
    timeoutSeconds: 30,
  });
  return {
    url: server.url,
    settings: {
      overlap: false,
      settleSeconds: 1,
      generate: { bytes: 24, encoding: 'hex' },
      versions: program('versions'),
      add: program('add'),
      activate: { command: program('activate') },
      retire: { command: program('retire') },
      restore: { command: program('restore') },
      probe: {
        operation: {
          url: `${server.url}/open`,
          auth: { kind: 'header', name: 'x-key', value: '${file:vault/{version}}' },
        },
      },
    },
    versions,
    valueOf,
    pin: (version) => void (pinned = version),
    stop: () => server.stop(),
  };
}

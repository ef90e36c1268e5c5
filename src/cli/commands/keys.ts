import type { Command } from 'commander';
import type { LoadedConfig } from '../../config/load';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { defaultName, optionalConfig } from '../settings';

/** `keys ...`: what answers are signed with. */
export function addKeys(program: Command): void {
  const keys = program
    .command('keys')
    .description('the keys that your answers are signed with: create, list')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false });
  keys
    .command('create')
    .option('--by <name>', 'the name that it signs for', defaultName())
    .option('--file <file>', 'where to; default: in your configuration folder')
    .description('make an Ed25519 key, and print the line for the configuration; never overwrites one')
    .action((options: { by: string; file?: string }, command: Command) => create(options, command));
  keys
    .command('list')
    .description('your keys, in files and in ssh-agent, and whose they are in the configuration')
    .action((_: unknown, command: Command) => list(command));
}

async function create({ by, file: given }: { by: string; file?: string }, command: Command): Promise<void> {
  const { mkdirSync, writeFileSync } = await import('node:fs');
  const { hostname } = await import('node:os');
  const { dirname, join, resolve } = await import('node:path');
  const { keysFolder } = await import('../../config/user.js');
  const { parsePublicKey, publicKeyLine } = await import('../../config/ssh-key.js');
  const { createKey } = await import('../signing/key-file.js');
  const { stringify } = await import('yaml');
  if (given === undefined && !/^[\w.@-]+$/.test(by))
    throw new CliError(EXIT.usage, `"${by}" makes no good file name; name the file with --file.`);
  const file = resolve(given ?? join(keysFolder(), by));
  const comment = `${by.replace(/\s+/g, '-')}@${hostname()}`;
  const { text, raw } = createKey(comment);
  const line = publicKeyLine(raw, comment);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EEXIST' ? `${file} is there already, and is kept` : message;
    throw new CliError(EXIT.usage, `No key was made: ${why}. Another place is named with --file.`);
  }
  const output = outputOf(command);
  const { fingerprint } = parsePublicKey(line);
  output.document({ file, by, fingerprint, line });
  output.hint(
    `The key ${fingerprint} is in ${file}. Enter its public half under approval.keys of each service:`,
  );
  // Written by what reads it: a name may be something else to YAML.
  output.line(stringify({ keys: { [by]: [line] } }, { lineWidth: 0 }).trimEnd());
}

async function list(command: Command): Promise<void> {
  const { userKeys } = await import('../signing/signer.js');
  const { formatTable } = await import('../table.js');
  const { signers, problems } = await userKeys();
  const output = outputOf(command);
  const config = await optionalConfig(command).catch((error: Error) => {
    output.warn(`${error.message}\nSo whose they are there is not known.`);
    return undefined;
  });
  const owners = ownersIn(config, await import('../../config/ssh-key.js'));
  const keys = signers.map(({ fingerprint, comment, where }) => ({
    fingerprint,
    where,
    comment,
    configured: owners.get(fingerprint) ?? [],
  }));
  output.document({ keys, problems });
  if (keys.length === 0) output.line('No Ed25519 key was found. `runbooks keys create` makes one.');
  else
    output.line(
      formatTable(
        ['key', 'where', 'comment', 'in the configuration'],
        keys.map((one) => [one.fingerprint, one.where, one.comment, one.configured.join(', ') || 'nowhere']),
      ),
    );
  for (const problem of problems) output.hint(`Not read: ${problem}.`);
}

/** Who a key is, and where, by its fingerprint. */
function ownersIn(
  config: LoadedConfig | undefined,
  { parsePublicKey }: typeof import('../../config/ssh-key'),
): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  for (const [service, { approval }] of Object.entries(config?.services ?? {}))
    for (const [name, keys] of Object.entries(approval.keys))
      for (const one of keys) {
        const { key, expires } = typeof one === 'string' ? { key: one, expires: undefined } : one;
        const { fingerprint } = parsePublicKey(key);
        const until = expires === undefined ? '' : expiry(expires);
        owners.set(fingerprint, [...(owners.get(fingerprint) ?? []), `${name} of ${service}${until}`]);
      }
  return owners;
}

function expiry(day: string): string {
  return Date.parse(day) <= Date.now() ? ` (expired on ${day})` : ` (until ${day})`;
}

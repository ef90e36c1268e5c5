import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import { outputOf, type GlobalOptions } from '../output';

interface Options {
  service: string;
  databaseUrlEnv: string;
}

export function addInit(program: Command): void {
  program
    .command('init')
    .option('--service <name>', 'name of your service', 'my-service')
    .option(
      '--database-url-env <NAME>',
      "environment variable with the URL of its production database; read now, if set, for the database's identity",
      'DATABASE_URL',
    )
    .description('write a commented runbooks.yaml for your own service')
    .action(async ({ service, databaseUrlEnv }: Options, command: Command) => {
      const { configPath } = await import('../../config/load.js');
      const { serviceName } = await import('../../config/schema.js');
      const output = outputOf(command);
      const name = serviceName.safeParse(service);
      if (!name.success)
        throw new CliError(
          EXIT.usage,
          `--service: got "${service}", wanted ${name.error.issues[0]?.message}. Nothing was written.`,
        );
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(databaseUrlEnv)) {
        throw new CliError(
          EXIT.usage,
          `--database-url-env: got "${databaseUrlEnv}", wanted the name of an environment variable, not its value. Nothing was written.`,
        );
      }
      const { configTemplate, UNKNOWN_IDENTIFIER } = await import('../config-template.js');
      const found = await identify(databaseUrlEnv, output.hint);
      const text = configTemplate({
        service,
        databaseUrlEnv,
        systemIdentifier: found?.systemIdentifier ?? UNKNOWN_IDENTIFIER,
        database: found?.database ?? service.replace(/-/g, '_'),
        identified: found !== undefined,
      });
      const file = configPath(command.optsWithGlobals<GlobalOptions>().config);
      await writeNew(file, text);
      output.document({ file, service, identified: found !== undefined });
      output.line(`Written: ${file}`);
      output.hint(
        `Next: ${found === undefined ? `set ${databaseUrlEnv}, ` : ''}read the file, then \`runbooks check\`.`,
      );
    });
}

/** Asks the database behind the variable who it is. Best effort: the file can be completed by hand. */
async function identify(variable: string, say: (text: string) => void) {
  const { MissingSecret, resolveSecrets, scrub } = await import('../../config/secrets.js');
  try {
    const url = resolveSecrets(`\${env:${variable}}`, process.cwd());
    const { readFoundIdentity } = await import('../../activities/postgres/session/identity.js');
    const { Client } = await import('pg');
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: 5_000,
      statement_timeout: 5_000,
    });
    try {
      await client.connect();
      return await readFoundIdentity(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  } catch (error) {
    if (!(error instanceof MissingSecret))
      say(`The database in ${variable} did not tell its identity: ${scrub((error as Error).message)}`);
    return undefined;
  }
}

async function writeNew(file: string, text: string): Promise<void> {
  const { writeFile } = await import('node:fs/promises');
  try {
    // wx: never over a file that somebody else has just written.
    await writeFile(file, text, { flag: 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST'
        ? 'it is already there, and init overwrites nothing. Name another with --config'
        : message;
    throw new CliError(EXIT.usage, `${file} was not written: ${why}.`);
  }
}

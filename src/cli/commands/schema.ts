import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { outputOf, type GlobalOptions } from '../output';

export function addSchema(program: Command): void {
  program
    .command('schema')
    .option('--output <file>', 'default: standard output')
    .description('the JSON Schema of runbooks.yaml with the sections of its packs, for editors')
    .action(async ({ output: file }: { output?: string }, command: Command) => {
      const { configPath } = await import('../../config/load.js');
      const { configJsonSchema } = await import('../../config/json-schema.js');
      const { schemaOf } = await import('../../check/load-project.js');
      const { config } = command.optsWithGlobals<GlobalOptions>();
      const path = configPath(config);
      const text = `${JSON.stringify(configJsonSchema(schemaOf(path, config !== undefined)), null, 2)}\n`;
      if (file === undefined) {
        process.stdout.write(text);
        return;
      }
      writeFileSync(resolve(file), text);
      outputOf(command).hint(
        `Wrote ${file}. The first line of the configuration points editors to it:\n# yaml-language-server: $schema=${file}`,
      );
    });
}

import type { Command } from 'commander';
import { outputOf } from '../output';

export function addPack(program: Command): void {
  const pack = program.command('pack').description('runbooks of your own; init');
  pack
    .command('init')
    .argument('[folder]', 'is made where it is missing', 'runbooks')
    .option('--name <package>', 'name in its package.json; default: that of the folder')
    .description(
      'write a pack that works: a runbook, its activities, its section, its test; overwrites nothing',
    )
    .action(async (folder: string, { name }: { name?: string }, command: Command) => {
      const { writePack } = await import('../pack-template.js');
      const output = outputOf(command);
      const written = writePack(folder, name);
      output.document({ folder, files: written });
      for (const file of written) output.line(file);
      output.hint(
        `\nNext:\n  cd ${folder}\n  npm install\n  npm run build && npm run lint && npm test\n  npx runbooks up --config runbooks.yaml    # Temporal with its UI, and a worker that has it\nThen name it in the runbooks.yaml of your workers: packs: [./${folder}]`,
      );
    });
}

import type { Command } from 'commander';
import { outputOf } from '../output';
import { requiredConfig } from '../settings';

export function addBuild(program: Command): void {
  program
    .command('build')
    .description('bundle the runbooks of every pack; says what a pack must put right')
    .action(async (_: unknown, command: Command) => {
      const config = await requiredConfig(command);
      const { createPackActivities } = await import('../../packs/definition/combine.js');
      const { bundleOf } = await import('../../build/workflow-bundle.js');
      const { readBundle } = await import('../../worker/build-id.js');
      const { formatTable } = await import('../table.js');
      const output = outputOf(command);
      // The worker would refuse them too, and later.
      createPackActivities(config.installed, { config, catalogue: config.catalogue });
      const { code, path } = await bundleOf(config, { again: true });
      const { buildId } = await readBundle({ code });
      const packs = config.installed.map(({ name, cards }) => ({
        name,
        runbooks: cards.map((card) => card.name),
      }));
      output.document({ bundle: path, buildId, packs });
      output.line(
        formatTable(
          ['pack', 'runbooks'],
          packs.map(({ name, runbooks }) => [name, runbooks.join(', ') || 'none']),
        ),
      );
      output.hint(`\nbuild ${buildId}, ${Math.round(code.length / 1_000)} kB: ${path}`);
    });
}

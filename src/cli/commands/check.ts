import type { Command } from 'commander';
import { EXIT } from '../errors';
import { outputOf } from '../output';
import { requiredConfig } from '../settings';

export function addCheck(program: Command): void {
  program
    .command('check')
    .description('the configuration, then every connection of it, read only; prints the identities')
    .action(async (_: unknown, command: Command) => {
      const config = await requiredConfig(command);
      const { checkAll } = await import('../../check/connections.js');
      const { withTemporal } = await import('../connect.js');
      const { formatTable } = await import('../table.js');
      const output = outputOf(command);
      const marks = {
        ok: output.style('green', '✔ ok'),
        warning: output.style('yellow', '! note'),
        failed: output.style('red', '✖ FAILED'),
      };
      output.hint(`${config.file} is well formed: ${Object.keys(config.services).join(', ')}`);
      const checks = await checkAll(config, withTemporal);
      const failed = checks.filter(({ state }) => state === 'failed').length;
      output.document({ file: config.file, ok: failed === 0, checks });
      output.line(
        formatTable(
          ['', 'what', 'result'],
          checks.map(({ what, state, detail }) => [marks[state], what, detail]),
        ),
      );
      if (failed === 0) return;
      output.hint(
        `\n${failed} of ${checks.length} failed. Mend them from the top: one often causes the next.`,
      );
      const onlyTemporal = checks.every(({ what, state }) => state !== 'failed' || what === 'temporal');
      process.exitCode = onlyTemporal ? EXIT.unreachable : EXIT.usage;
    });
}

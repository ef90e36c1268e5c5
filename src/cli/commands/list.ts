import type { Command } from 'commander';
import { outputOf } from '../output';
import { catalogueOf } from '../settings';

export function addList(program: Command): void {
  program
    .command('list')
    .description('the runbooks, what each is for and what it may change')
    .action(async (_: unknown, command: Command) => {
      const { cards } = await catalogueOf(command);
      const { formatTable } = await import('../table.js');
      const output = outputOf(command);
      output.document(
        cards.map(({ name, title, area, priority, changes }) => ({ name, title, area, priority, changes })),
      );
      output.line(
        formatTable(
          ['runbook', 'area', '', 'title', 'changes'],
          cards.map((card) => [card.name, card.area, card.priority, card.title, card.changes]),
        ),
      );
      output.hint(
        '\n`runbooks describe <runbook>` shows one in full; `runbooks start <runbook> --mode observe` tries it and changes nothing.',
      );
    });
}

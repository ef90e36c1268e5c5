import type { Command } from 'commander';
import type { Card } from '../../catalogue/card';
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
        cards.map(({ name, title, area, priority, from = [], changes }) => ({
          ...{ name, title, area, priority, from, changes },
        })),
      );
      output.line(
        formatTable(
          ['runbook', 'area', '', 'title', 'changes (from)'],
          cards.map((card) => [card.name, card.area, card.priority, card.title, purposeOf(card)]),
        ),
      );
      output.hint(
        '\n`runbooks describe <runbook>` shows one in full; `runbooks start <runbook> --mode observe` tries it and changes nothing.',
      );
    });
}

/** With the written runbooks that it stands for, by name; `describe` says which of their sections. */
function purposeOf({ changes, from = [] }: Card): string {
  const documents = [...new Set(from.map((section) => section.split(':', 1)[0]!))];
  return documents.length === 0 ? changes : `${changes} (${documents.join(', ')})`;
}

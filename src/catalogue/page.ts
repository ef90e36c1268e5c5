import type { Card } from './card';
import { capitalised } from '../contract/text';
import type { Catalogue } from './catalogue';

/** The catalogue page: every runbook's card, in the structure that people know from written runbooks. */
export function renderCatalogue({ cards }: Catalogue): string {
  const rows = cards.map(
    ({ name, title, priority, changes }) =>
      `| [${name}](#${name.toLowerCase()}) | ${title} | ${priority} | ${changes} |`,
  );
  return (
    [
      '# Catalogue',
      'Generated from the cards by `npm run build`. `runbooks describe <runbook>` shows the same, with its input.',
      ['| runbook | title | priority | may change |', '|---|---|---|---|', ...rows].join('\n'),
      ...cards.map(renderCard),
      '',
    ]
      .join('\n\n')
      .trimEnd() + '\n'
  );
}

function renderCard(card: Card): string {
  return [
    `## ${card.name}`,
    `**${card.title}** (${card.area}, ${card.priority}). ${sentence(card.impact)}`,
    section('Symptoms', card.symptoms),
    section('Diagnosis', card.diagnosis),
    section('Resolution', card.resolution),
    section('Prevention', card.prevention),
    section('Escalation', card.escalation),
    ...(card.from === undefined ? [] : [`From [written runbooks](seeds.md): ${card.from.join('; ')}.`]),
    `Example input:\n\n\`\`\`json\n${JSON.stringify(card.example)}\n\`\`\``,
  ].join('\n\n');
}

function section(title: string, lines: string[]): string {
  return `### ${title}\n\n${lines.map((line) => `- ${line}`).join('\n')}`;
}

function sentence(text: string): string {
  return `${capitalised(text)}.`;
}

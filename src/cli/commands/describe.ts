import type { Command } from 'commander';
import type { Card } from '../../catalogue/card';
import type { Project } from '../../catalogue/catalogue';
import { outputOf, type Output } from '../output';
import { catalogueOf, optionalConfig } from '../settings';

export function addDescribe(program: Command): void {
  program
    .command('describe')
    .argument('<runbook>', 'name of a runbook, see `runbooks list`')
    .description('a runbook in full: card, input, an example, the address that starts it in the Temporal UI')
    .action(async (name: string, _: unknown, command: Command) => {
      const { findCard } = await import('../cards.js');
      const { fieldsOf, inputSchema } = await import('../../catalogue/input-fields.js');
      const config = await optionalConfig(command);
      const card = ofService(findCard(await catalogueOf(command), name), config);
      const address = await addressOf(config, card);
      const output = outputOf(command);
      output.document({
        ...textsOf(card),
        input: inputSchema(card),
        fields: fieldsOf(card),
        example: card.example,
        start: address,
      });
      await printCard(output, card, address);
    });
}

function textsOf({ input: _input, example: _example, capMode: _capMode, ...texts }: Card) {
  return texts;
}

/** The card with an example that can be pasted here: of a service that is configured. */
function ofService(card: Card, config: Project | undefined): Card {
  const [first, ...others] = Object.keys(config?.services ?? {});
  if (first === undefined || [first, ...others].includes(nameIn(card.example))) return card;
  return { ...card, example: { ...card.example, service: first } };
}

async function addressOf(config: Project | undefined, card: Card): Promise<string> {
  const { temporalPlace } = await import('../../config/temporal.js');
  const { uiUrlOf } = await import('../connect.js');
  const { startAddress } = await import('../../contract/ui-address.js');
  const { newWorkflowId } = await import('../workflow-id.js');
  const { address, namespace } = temporalPlace(config);
  const ui = uiUrlOf(config, address) ?? 'http://<temporal-ui>';
  return startAddress(ui, namespace, {
    workflowType: card.name,
    taskQueue: config?.temporal.taskQueue ?? 'runbooks',
    workflowId: newWorkflowId(card.name, nameIn(card.example)),
  });
}

async function printCard(output: Output, card: Card, address: string): Promise<void> {
  const { fieldsOf, flagOf } = await import('../../catalogue/input-fields.js');
  const { formatTable, textWidth, wrap } = await import('../table.js');
  const { quote } = await import('../../contract/answer-commands.js');
  const heading = (text: string) => output.line(`\n${output.style('bold', text)}`);
  output.line(`${output.style('bold', card.name)}  ${card.title}  (${card.area}, ${card.priority})`);
  output.line(wrap(`May change: ${card.changes}`, textWidth()).join('\n'));
  output.line(wrap(`Impact: ${card.impact}`, textWidth()).join('\n'));
  if (card.from !== undefined)
    output.line(wrap(`Stands for: ${card.from.join('; ')}`, textWidth()).join('\n'));
  const lists = {
    Symptoms: card.symptoms,
    Diagnosis: card.diagnosis,
    Resolution: card.resolution,
    Prevention: card.prevention,
    Escalation: card.escalation,
  };
  for (const [name, items] of Object.entries(lists)) {
    heading(name);
    for (const item of items) output.line(wrap(`- ${item}`, textWidth() - 2).join('\n  '));
  }
  heading('Input');
  const rows = fieldsOf(card).map((field) => [
    field.name,
    flagOf(field.name),
    field.type,
    field.required ? 'required' : field.defaultValue === undefined ? '' : JSON.stringify(field.defaultValue),
    field.description,
  ]);
  output.line(formatTable(['field', 'flag', 'type', 'default', 'meaning'], rows));
  heading('Example');
  output.line(JSON.stringify(card.example));
  output.line(`runbooks start ${card.name} --input ${quote(JSON.stringify(card.example))} --watch`);
  heading('From the Temporal UI');
  output.line(address);
  output.line(
    'Opens "Start Workflow" with ID, task queue and type filled in; paste the example as input, encoding json/plain.',
  );
}

function nameIn({ service }: Record<string, unknown>): string {
  return typeof service === 'string' ? service : 'service';
}

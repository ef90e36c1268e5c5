import type { Command } from 'commander';
import type { Card } from '../../catalogue/card';
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
      const card = findCard(await catalogueOf(command), name);
      const address = await addressOf(command, card);
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

async function addressOf(command: Command, card: Card): Promise<string> {
  const { connectionOptions } = await import('../../config/temporal.js');
  const { uiUrlOf } = await import('../connect.js');
  const { startAddress } = await import('../ui-address.js');
  const { newWorkflowId } = await import('../workflow-id.js');
  const config = await optionalConfig(command);
  const { connection, namespace } = connectionOptions(config);
  const ui = uiUrlOf(config, connection.address) ?? 'http://<temporal-ui>';
  return startAddress(ui, namespace, {
    workflowType: card.name,
    taskQueue: config?.temporal.taskQueue ?? 'runbooks',
    workflowId: newWorkflowId(card.name, nameIn(card.example)),
  });
}

async function printCard(output: Output, card: Card, address: string): Promise<void> {
  const { fieldsOf, flagOf } = await import('../../catalogue/input-fields.js');
  const { formatTable, wrap } = await import('../table.js');
  const { quote } = await import('../../contract/answer-commands.js');
  const heading = (text: string) => output.line(`\n${output.style('bold', text)}`);
  output.line(`${output.style('bold', card.name)}  ${card.title}  (${card.area}, ${card.priority})`);
  output.line(`May change: ${card.changes}`);
  output.line(`Impact: ${card.impact}`);
  const lists = {
    Symptoms: card.symptoms,
    Diagnosis: card.diagnosis,
    Resolution: card.resolution,
    Prevention: card.prevention,
    Escalation: card.escalation,
  };
  for (const [name, items] of Object.entries(lists)) {
    heading(name);
    for (const item of items) output.line(wrap(`- ${item}`, 100).join('\n  '));
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

import type { Command } from 'commander';
import type { RunStatus } from '../../contract/report';
import type { Temporal } from '../connect';
import { CliError, EXIT } from '../errors';
import { outputOf, type Output } from '../output';
import { defaultName, reach } from '../settings';

interface Options {
  plan?: string;
  by: string;
  note?: string;
  key?: string;
}

/** `approve` and `reject`: both name the hash of the plan. */
export function addApprove(program: Command): void {
  for (const verb of ['approve', 'reject'] as const) {
    program
      .command(verb)
      .argument('<id>', 'workflow ID')
      .option(
        '--plan <hash>',
        verb === 'approve'
          ? 'hash of the plan you have read; without it the plan is shown and asked about'
          : 'hash of the plan; default: the open one',
      )
      .option('--by <name>', 'your name', defaultName())
      .option('--note <text>', 'why, for the report')
      .option('--key <file>', 'sign with that key; default: the one of yours that the run knows')
      .description(
        verb === 'approve'
          ? 'let a run carry out exactly this plan'
          : 'refuse the plan: the run ends, and what can be undone of what it did is undone',
      )
      .action(async (id: string, options: Options, command: Command) => {
        const { withTemporal } = await import('../connect.js');
        const { sendAnswer } = await import('../answer.js');
        const output = outputOf(command);
        await withTemporal(await reach(command), async (temporal) => {
          const plan = options.plan ?? (await openPlan(temporal, output, id, verb));
          const { by, note, key } = options;
          const answer = await sendAnswer(temporal, id, verb, { plan, by, note }, key);
          output.document({ workflowId: id, plan, by: options.by, answer });
          output.line(answer);
        });
      });
  }
}

async function openPlan(
  temporal: Temporal,
  output: Output,
  id: string,
  verb: 'approve' | 'reject',
): Promise<string> {
  const { askRun, onlyOpen } = await import('../answer.js');
  const status = await askRun(temporal, id);
  const { id: hash } = onlyOpen(status, 'approval', '--plan');
  // Saying no needs no hash: it cannot let the wrong thing happen.
  if (verb === 'approve') await confirm(output, status, hash);
  return hash;
}

async function confirm(output: Output, status: RunStatus, hash: string): Promise<void> {
  const { planText } = await import('../run-text.js');
  const { quote } = await import('../../contract/answer-commands.js');
  const shown = status.plan === undefined ? `Plan ${hash}` : planText(status.plan);
  if (!output.interactive) {
    throw new CliError(
      EXIT.usage,
      `An approval names the plan it is for; nothing was approved. Read it:\n${shown}\nThen: runbooks approve ${quote(status.workflowId)} --plan ${hash}`,
    );
  }
  const { createInterface } = await import('node:readline/promises');
  output.line(`${status.title}: ${status.service}\n${shown}`);
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await prompt.question('Approve exactly this plan? Type yes: ');
    if (answer.trim().toLowerCase() !== 'yes') throw new CliError(EXIT.usage, 'Nothing was approved.');
  } finally {
    prompt.close();
  }
}

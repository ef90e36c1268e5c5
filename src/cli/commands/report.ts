import type { Command } from 'commander';
import { printableJson } from '../../contract/printable';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { reach } from '../settings';

interface Options {
  html?: boolean;
  md?: boolean;
  out?: string;
  run?: string;
}

export function addReport(program: Command): void {
  program
    .command('report')
    .argument('<id>', 'workflow ID of any run, also of another workflow type')
    .option('--md', 'Markdown (the default)')
    .option('--html', 'one self-contained page with the timeline as a picture')
    .option('--out <file>', 'write to this file instead of standard output')
    .option('--run <run id>', 'one run of that ID; default: the newest')
    .description('what happened in a run, for the ticket or the post-mortem')
    .action(async (id: string, options: Options, command: Command) => {
      if (options.html && options.md) throw new CliError(EXIT.usage, 'Choose one of --html and --md.');
      const output = outputOf(command);
      if (options.html && options.out === undefined && output.interactive) {
        throw new CliError(EXIT.usage, 'A page on a terminal helps nobody: add --out report.html.');
      }
      const { withTemporal } = await import('../connect.js');
      const { reportFromHistory } = await import('../../report/history/read-history.js');
      const report = await withTemporal(await reach(command), ({ client }) =>
        reportFromHistory(client, id, options.run),
      );
      const text = output.json
        ? `${printableJson(report, 2)}\n`
        : await render(report, options.html === true);
      if (options.out === undefined) process.stdout.write(text);
      else await write(options.out, text, output.hint);
    });
}

async function render(
  report: Parameters<typeof import('../../report/page/html').renderHtml>[0],
  html: boolean,
): Promise<string> {
  if (html) return (await import('../../report/page/html.js')).renderHtml(report);
  return (await import('../../report/text/markdown.js')).renderMarkdown(report);
}

async function write(file: string, text: string, say: (text: string) => void): Promise<void> {
  const { writeFile } = await import('node:fs/promises');
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new CliError(EXIT.usage, `The report cannot be written to ${file}: ${(error as Error).message}.`);
  }
  say(`Written to ${file}`);
}

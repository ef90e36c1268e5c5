import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { requiredConfig } from '../settings';

interface Options {
  from?: string;
  histories?: string;
  newest: string;
}

export function addReplay(program: Command): void {
  program
    .command('replay')
    .option('--from <namespace>', 'of Temporal; default: that of the configuration')
    .option('--histories <folder>', 'JSON files instead of a server')
    .option('--newest <number>', 'runs of each workflow type', '5')
    .description('the newest runs against the code of today; exit code 1 where it would do something else')
    .action(async (options: Options, command: Command) => {
      const config = await requiredConfig(command);
      const { bundleOf } = await import('../../build/workflow-bundle.js');
      const { replayRuns } = await import('../../build/replay.js');
      const { temporalOptions } = await import('../../config/temporal.js');
      const { formatTable } = await import('../table.js');
      const output = outputOf(command);
      const { code } = await bundleOf(config);
      const types = config.installed.flatMap(({ cards, entities = [] }) => [
        ...cards.map(({ name }) => name),
        ...entities,
      ]);
      const runs = await readRuns(config, types, options);
      // Last: it starts what keeps the process alive until the replay is over.
      (await import('../../worker/log.js')).logBriefly('ERROR');
      const replayed = await replayRuns(code, types, runs, temporalOptions(config).client.dataConverter);
      const bad = replayed.filter(({ state }) => state !== 'ok').length;
      output.document({ ok: bad === 0, replayed });
      const marks = {
        ok: output.style('green', '✔ same'),
        unknown: output.style('yellow', '? UNKNOWN'),
        failed: output.style('red', '✖ DIFFERS'),
      };
      output.line(
        formatTable(
          ['', 'workflow', 'run', 'result'],
          replayed.map(({ state, type, workflowId, detail }) => [marks[state], type, workflowId, detail]),
        ),
      );
      if (replayed.length === 0) output.hint('There is no run to replay.');
      if (bad === 0) return;
      output.hint(
        `\n${bad} of ${replayed.length} could not go on with this code. Guard the change with \`patched()\`, or let old runs end on their version: docs/operating.md.`,
      );
      process.exitCode = EXIT.runFailed;
    });
}

type Config = Awaited<ReturnType<typeof requiredConfig>>;

async function readRuns(config: Config, types: string[], { from, histories, newest }: Options) {
  const count = Number(newest);
  if (!Number.isInteger(count) || count < 1)
    throw new CliError(EXIT.usage, `--newest wants a whole number from 1 on, got "${newest}".`);
  const { fetchNewest, readHistories } = await import('../../build/histories.js');
  if (histories !== undefined) {
    const folder = resolve(histories);
    if (!existsSync(folder))
      throw new CliError(EXIT.usage, `--histories: there is no ${folder}. Nothing was replayed.`);
    return readHistories(folder);
  }
  const { withTemporal } = await import('../connect.js');
  const there =
    from === undefined ? config : { ...config, temporal: { ...config.temporal, namespace: from } };
  return withTemporal(there, ({ client, taskQueue }) => fetchNewest(client, { types, taskQueue, count }));
}

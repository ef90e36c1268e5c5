/** A real Prometheus with an example's own rules on its real application, whose alerts start runs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { RunReport, RunStatus } from '../../src/contract/report';
import type { ExampleStack } from '../../src/local/stack';
import { PACKAGE_ROOT } from '../../src/config/version';
import { startIntake } from '../../src/worker/intake';
import { startAlertmanager, startPrometheus } from '../support/monitoring';

const PATIENCE_MS = 120_000;

export interface Watched {
  /** Whether the alert fires. */
  fires(alert: string): Promise<boolean>;
  value(expression: string): Promise<number | undefined>;
  /** What it resolves to, once it does; throws with the logs where it never does. */
  until<T>(what: string, look: () => Promise<T | undefined>): Promise<T>;
  stop(): Promise<void>;
}

/** `rules` may change the text of alert-rules.yml: less patience. */
export async function watch(
  stack: Pick<ExampleStack, 'config' | 'directory'>,
  options: { example: string; appUrl: string; token: string; rules?: (text: string) => string },
): Promise<Watched> {
  const { example, appUrl, token, rules = (text) => text } = options;
  const { config, directory } = stack;
  const intake = await startIntake(config, { log: () => undefined, noticeEveryMs: 200 });
  const credentials = join(directory, 'alertmanager-token');
  writeFileSync(credentials, token, { mode: 0o600 });
  const alertmanager = await startAlertmanager(join(directory, 'alertmanager'), {
    route: {
      receiver: 'runbooks',
      group_by: ['alertname', 'service'],
      group_wait: '1s',
      group_interval: '1s',
      repeat_interval: '1h',
    },
    receivers: [
      {
        name: 'runbooks',
        webhook_configs: [
          {
            url: `${intake.url}/alerts/alertmanager`,
            http_config: { authorization: { type: 'Bearer', credentials_file: credentials } },
          },
        ],
      },
    ],
  });
  const prometheus = await startPrometheus({
    directory: join(directory, 'prometheus'),
    scrape: { [example]: appUrl },
    rules: [rules(readFileSync(join(PACKAGE_ROOT, 'examples', example, 'alert-rules.yml'), 'utf8'))],
    alertmanager: alertmanager.url,
  });
  return {
    fires: async (alert) =>
      (await prometheus.query(`ALERTS{alertname="${alert}",alertstate="firing"}`)).length > 0,
    value: async (expression) => (await prometheus.query(expression))[0]?.value,
    until: async (what, look) => {
      for (const deadline = Date.now() + PATIENCE_MS; ;) {
        const found = await look();
        if (found !== undefined) return found;
        if (Date.now() > deadline)
          throw new Error(`${what} never came\n${prometheus.log()}\n${alertmanager.log()}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    stop: async () => {
      await prometheus.stop();
      await alertmanager.stop();
      await intake.stop();
    },
  };
}

/** Says yes to whatever is asked, and that every task is done, until it has ended. */
export async function agree({ until }: Pick<Watched, 'until'>, handle: WorkflowHandle): Promise<RunReport> {
  const answered = new Set<string>();
  for (;;) {
    const status = await until('a question or the end', async () => {
      const now = await handle.query<RunStatus>('status').catch(() => undefined);
      const asks = now?.waiting.some(({ id }) => !answered.has(id));
      return now?.outcome !== undefined || asks === true ? now : undefined;
    });
    const open = status.waiting.find(({ id }) => !answered.has(id));
    if (status.outcome !== undefined || open === undefined) return (await handle.result()) as RunReport;
    const { id, update, choices = [] } = open;
    answered.add(id);
    const choice = choices[0] === undefined ? {} : { choice: choices[0] };
    // By then it may have found out by itself.
    await handle
      .executeUpdate(update.name, { args: [{ ...update.argument, by: 'ben', ...choice }] })
      .catch(() => undefined);
  }
}

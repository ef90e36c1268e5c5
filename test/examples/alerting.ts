/** Prometheus with the rules of an example, and Alertmanager, which tells the intake of its stack. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/config/version';
import type { ExampleStack } from '../../src/local/stack';
import { startAlertmanager, startPrometheus, type Prometheus } from '../support/monitoring';

export interface Alerting {
  prometheus: Prometheus;
  /** Names of the alerts that fire now. */
  firing(): Promise<string[]>;
  stop(): Promise<void>;
}

/** `url` is scraped; `token` is that of the source "alertmanager". The stack needs its intake. */
export async function startAlerting(
  { directory, intake }: ExampleStack,
  { example, url, token }: { example: string; url: string; token: string },
): Promise<Alerting> {
  const file = join(directory, 'alertmanager-token');
  writeFileSync(file, token, { mode: 0o600 });
  const webhook = {
    url: `${intake!.url}/alerts/alertmanager`,
    http_config: { authorization: { type: 'Bearer', credentials_file: file } },
  };
  const alertmanager = await startAlertmanager(join(directory, 'alertmanager'), {
    route: { receiver: 'runbooks', group_by: ['alertname'], group_wait: '1s', group_interval: '1s' },
    receivers: [{ name: 'runbooks', webhook_configs: [webhook] }],
  });
  const prometheus = await startPrometheus({
    directory: join(directory, 'prometheus'),
    scrape: { [example]: url },
    rules: [readFileSync(join(PACKAGE_ROOT, `examples/${example}/alert-rules.yml`), 'utf8')],
    alertmanager: alertmanager.url,
  });
  return {
    prometheus,
    firing: async () =>
      (await prometheus.query('ALERTS{alertstate="firing"}')).map(({ labels }) => labels['alertname']!),
    stop: async () => {
      await prometheus.stop();
      await alertmanager.stop();
    },
  };
}

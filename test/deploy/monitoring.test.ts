import { incidentSchema } from '../../src/activities/incidents/settings';
import { ownCatalogue } from '../../src/packs/own';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { parse, stringify } from 'yaml';
import { createAlertMetrics } from '../../src/alerts/metrics';
import { configSchema } from '../../src/config/schema';
import { collectFromTemporal } from '../../src/metrics/collect';
import { createRegistry } from '../../src/metrics/registry';

const root = resolve(__dirname, '../..');
const run = promisify(execFile);
const read = (path: string) => readFileSync(join(root, 'deploy', path), 'utf8');
const path = (name: string) => join(root, 'deploy', name);

const has = (program: string) => spawnSync(program, ['--version']).status === 0;
const testWith = (program: string) => {
  if (has(program)) return test;
  console.warn(`skipped: ${program} is not here (Debian: prometheus, prometheus-alertmanager)`);
  return test.skip;
};
const testPromtool = testWith('promtool');

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}
interface AlertTest {
  alertname: string;
  exp_alerts: unknown[];
}
interface Panel {
  id: number;
  type: string;
  title: string;
  datasource?: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string } }[];
}

const { groups } = parse(read('prometheus/rules.yml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const ruleTests = parse(read('prometheus/rules.test.yml')) as { tests: { alert_rule_test: AlertTest[] }[] };
const dashboard = JSON.parse(read('grafana/dashboard.json')) as {
  panels: Panel[];
  templating: { list: { name: string; definition?: string }[] };
};
const targets = dashboard.panels.flatMap((panel) => panel.targets ?? []);

describe('the alert rules', () => {
  testPromtool('are valid, and fire when they should with the words they should', async () => {
    const directory = path('prometheus');
    expect((await run('promtool', ['check', 'rules', 'rules.yml'], { cwd: directory })).stdout).toContain(
      `${rules.length} rules found`,
    );
    await run('promtool', ['test', 'rules', 'rules.test.yml'], { cwd: directory });
    await run('promtool', ['test', 'rules', 'alert-rules.test.yml'], { cwd: join(root, 'examples/booking') });
    await run('promtool', ['check', 'config', '--syntax-only', 'prometheus.yml'], { cwd: directory });
  });

  test.each(rules.map(({ alert }) => alert))(
    '%s has a test that it fires, and one that it does not',
    (alert) => {
      const tests = ruleTests.tests
        .flatMap((one) => one.alert_rule_test)
        .filter(({ alertname }) => alertname === alert);
      expect(tests.some((one) => one.exp_alerts.length > 0)).toBe(true);
      if (alert !== 'RunbooksWatchdog') expect(tests.some((one) => one.exp_alerts.length === 0)).toBe(true);
    },
  );

  test('their severities are words that an incident knows', () => {
    const { severities } = incidentSchema.parse({});
    for (const { alert, labels } of rules) {
      if (alert !== 'RunbooksWatchdog')
        expect([alert, Object.keys(severities)]).toEqual([alert, expect.arrayContaining([labels.severity])]);
    }
  });
});

describe('the dashboard', () => {
  test('has every panel in its own place, and asks the data source that one chooses', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ title, gridPos: { x, y, w, h } }) => {
      expect([title, x + w <= 24]).toEqual([title, true]);
      return Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
    for (const { datasource } of [...panels.filter(({ type }) => type !== 'row'), ...targets])
      expect(datasource?.uid).toBe('${datasource}');
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'service']);
  });

  testPromtool('has expressions that Prometheus understands', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
    try {
      const expressions = targets.map(({ expr }, index) => ({
        record: `expression_${index}`,
        expr: expr.replaceAll('$service', '.*').replaceAll('$__rate_interval', '5m'),
      }));
      writeFileSync(join(folder, 'rules.yml'), stringify({ groups: [{ name: 'all', rules: expressions }] }));
      await run('promtool', ['check', 'rules', join(folder, 'rules.yml')]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

test('every metric that a rule or a panel uses is one that somebody exports', async () => {
  const known = await exported();
  const expressions = [
    ...rules.map(({ expr }) => expr),
    ...targets.map(({ expr }) => expr),
    ...dashboard.templating.list.map(({ definition }) => definition ?? ''),
  ];
  const used = expressions.flatMap((text) => text.match(/\b(?:runbooks|temporal|process|nodejs)_\w+/g) ?? []);
  expect(used.length).toBeGreaterThan(50);
  const missing = used.filter(
    (name) => !known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, '')),
  );
  expect([...new Set(missing)]).toEqual([]);
});

/** Names from our registries, from the workflows' own counters, and from the source of the SDK's core. */
async function exported(): Promise<Set<string>> {
  const registry = createRegistry();
  const connection = Connection.lazy({ address: '127.0.0.1:1' });
  const config = {
    catalogue: ownCatalogue,
    ...configSchema.parse({ services: {} }),
    file: '',
    directory: '',
  };
  collectFromTemporal(new Client({ connection }), config, registry);
  createAlertMetrics(registry);
  const inWorkflows = readFileSync(join(root, 'src/workflows/kit/metrics.ts'), 'utf8');
  const core = dirname(require.resolve('@temporalio/core-bridge/package.json'));
  const inSdk = readFileSync(join(core, 'sdk-core/crates/sdk-core/src/telemetry/metrics.rs'), 'utf8');
  await connection.close();
  return new Set([
    ...registry.getMetricsAsArray().map(({ name }) => name),
    ...[...inWorkflows.matchAll(/'(runbooks_\w+)'/g)].map((match) => match[1] as string),
    ...[...inSdk.matchAll(/"([a-z_]+)"/g)].map((match) => `temporal_${match[1]}`),
  ]);
}

testWith('amtool')(
  'the example of Alertmanager is valid, and posts to the intake with a token from a file',
  async () => {
    await run('amtool', ['check-config', path('alertmanager/alertmanager.yml')]);
    const { receivers } = parse(read('alertmanager/alertmanager.yml')) as {
      receivers: { name: string; webhook_configs?: { url: string; http_config: unknown }[] }[];
    };
    expect(receivers.find(({ name }) => name === 'runbooks')?.webhook_configs).toEqual([
      expect.objectContaining({
        url: expect.stringMatching(/\/alerts\/[a-z][a-z0-9-]*$/),
        http_config: { authorization: { type: 'Bearer', credentials_file: expect.any(String) } },
      }),
    ]);
  },
);

test('everything that docker-compose.yml mounts from here is here', () => {
  const { services } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Record<string, { volumes?: string[] }>;
  };
  const mounted = Object.values(services)
    .flatMap(({ volumes }) => volumes ?? [])
    .filter((volume) => volume.startsWith('./'))
    .map((volume) => volume.split(':')[0] as string);
  expect(mounted.length).toBeGreaterThan(5);
  for (const source of mounted) expect([source, existsSync(join(root, source))]).toEqual([source, true]);
});

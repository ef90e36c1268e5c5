/** Real Prometheus and Alertmanager, from the PATH, on free ports of the loopback address. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { stringify } from 'yaml';
import { freePort, spawnGuarded } from '../../src/host/guardian';

const PROGRAMS = ['prometheus', 'prometheus-alertmanager'];

/** Programs that are not on this machine. */
export function missingMonitoring(): string[] {
  return PROGRAMS.filter((program) => spawnSync(program, ['--version']).status !== 0);
}

export interface MonitoringServer {
  url: string;
  /** End of its log. */
  log(): string;
  stop(): Promise<void>;
}

export interface Prometheus extends MonitoringServer {
  /** Values of an expression now, by the labels of each. */
  query(expression: string): Promise<{ labels: Record<string, string>; value: number }[]>;
}

export interface PrometheusOptions {
  directory: string;
  /** Base addresses by the name of their job. */
  scrape: Record<string, string>;
  /** Contents of rule files. */
  rules: string[];
  alertmanager: string;
}

/** Scrapes and evaluates every second. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { directory, scrape, rules, alertmanager } = options;
  mkdirSync(directory, { recursive: true });
  const files = rules.map((text, index) => {
    const file = join(directory, `rules-${index}.yml`);
    writeFileSync(file, text);
    return file;
  });
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: files,
    alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] },
    scrape_configs: Object.entries(scrape).map(([name, url]) => ({
      job_name: name,
      static_configs: [{ targets: [new URL(url).host] }],
    })),
  };
  const server = await start('prometheus', directory, config, (file, port) => [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  return {
    ...server,
    query: async (expression) => {
      const { body } = await request(`${server.url}/api/v1/query?query=${encodeURIComponent(expression)}`);
      const { data, error } = (await body.json()) as {
        data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
        error?: string;
      };
      if (data === undefined) throw new Error(`Prometheus does not understand ${expression}: ${error}`);
      return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
  };
}

/** With the configuration as it is given. */
export function startAlertmanager(directory: string, config: object): Promise<MonitoringServer> {
  mkdirSync(directory, { recursive: true });
  return start('prometheus-alertmanager', directory, config, (file, port) => [
    `--config.file=${file}`,
    `--storage.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
  ]);
}

const PORT_TRIES = 3;
const READY_MS = 30_000;

/** Resolves when it is ready; tries again where somebody else took the port. */
async function start(
  program: string,
  directory: string,
  config: object,
  argumentsFor: (configFile: string, port: number) => string[],
): Promise<MonitoringServer> {
  const configFile = join(directory, 'config.yml');
  writeFileSync(configFile, stringify(config));
  const logFile = join(directory, 'log');
  const log = () => readFileSync(logFile, 'utf8').slice(-3_000);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const args = argumentsFor(configFile, port);
    const server = await spawnGuarded({ program, args, logFile, directory });
    const url = `http://127.0.0.1:${port}`;
    if (await isReady(url, server.running)) return { url, log, stop: () => server.stop() };
    await server.stop();
    if (attempt >= PORT_TRIES) throw new Error(`${program} did not become ready:\n${log()}`);
  }
}

async function isReady(url: string, running: () => boolean): Promise<boolean> {
  for (const until = Date.now() + READY_MS; running() && Date.now() < until;) {
    const ready = await request(`${url}/-/ready`).then(
      async ({ statusCode, body }) => {
        await body.dump();
        return statusCode === 200;
      },
      () => false,
    );
    if (ready) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

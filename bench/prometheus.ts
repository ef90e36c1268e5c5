import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { createObserveActivities } from '../src/activities/observe/measure';
import { loadProject } from '../src/check/load-project';
import { freePort } from '../src/host/guardian';
import { median, percentile, round, say, timed, type Results } from './measure';

const QUERIES = 100;
const PATIENCE_MS = 120_000;
const LOOK_EVERY_MS = 1_000;

const INSTANT = 'sum(rate(prometheus_http_requests_total[30s]))';
const RANGE = 'sum(prometheus_tsdb_head_series)';

/** How long a measure takes that asks a real Prometheus: in turn the present value and the trend of a minute. */
export async function measurePrometheus(): Promise<Results> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-prometheus-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = startPrometheus(directory, port);
  try {
    const config = loadProject(writeConfig(directory, url));
    const { measure } = createObserveActivities({ config });
    const place = { service: 'shop', environment: 'production' };
    const ask = async (name: string) => {
      const { seconds, result } = await timed(() => measure({ ...place, names: [name] }));
      return { ms: seconds * 1_000, found: result[0]! };
    };
    say('waiting for a minute of samples');
    await untilKnown(async () => (await Promise.all(['now', 'trend'].map(ask))).map(({ found }) => found));
    const ours: number[] = [];
    const bare: number[] = [];
    for (let turn = 0; turn < QUERIES; turn += 1) {
      const { ms, found } = await ask(turn % 2 === 0 ? 'now' : 'trend');
      if (found.unknown !== undefined) throw new Error(found.detail);
      ours.push(ms);
      bare.push(await askBare(url, turn % 2 === 0 ? INSTANT : RANGE));
    }
    return {
      'measure.p99Ms': {
        value: round(percentile(ours, 0.99), 1),
        unit: 'ms',
        baseline: round(percentile(bare, 0.99), 1),
        note: `${QUERIES} measures, one after the other, every second one the trend of a minute, each with a look how old its samples are: median ${round(median(ours), 1)} ms; one bare query each: median ${round(median(bare), 1)} ms. Prometheus scrapes itself every second`,
      },
    };
  } finally {
    server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function startPrometheus(directory: string, port: number) {
  const file = join(directory, 'prometheus.yml');
  writeFileSync(
    file,
    `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: itself
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
`,
  );
  mkdirSync(join(directory, 'data'));
  return spawn(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
}

function writeConfig(directory: string, url: string): string {
  const file = join(directory, 'runbooks.yaml');
  writeFileSync(
    file,
    `services:
  shop:
    environments:
      production:
        database: { url: 'postgresql://nobody@127.0.0.1/shop', identity: { systemIdentifier: '0000000000', database: shop } }
        observe:
          prometheus: { url: '${url}' }
          measures:
            now: { prometheus: { query: '${INSTANT}' }, warning: 1000000 }
            trend:
              prometheus: { query: '${RANGE}', over: { minutes: 1, stepSeconds: 1, take: slope } }
              warning: 1000000000
`,
  );
  return file;
}

async function untilKnown(look: () => Promise<{ unknown?: string; detail: string }[]>): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; ;) {
    const unknown = (await look()).filter((one) => one.unknown !== undefined);
    if (unknown.length === 0) return;
    if (Date.now() > deadline) throw new Error(unknown.map(({ detail }) => detail).join('; '));
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

async function askBare(url: string, query: string): Promise<number> {
  const { seconds } = await timed(async () => {
    const { body } = await request(`${url}/api/v1/query?query=${encodeURIComponent(query)}`);
    await body.json();
  });
  return seconds * 1_000;
}

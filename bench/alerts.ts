import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { setEnvironment } from '../src/config/secrets';
import { freePort } from '../src/host/guardian';
import { sendAtRate, sendSteadily, type Answer, type Target } from './alert-load';
import { openBench, type Bench } from './environment';
import { percentile, round, say, type Results } from './measure';
import { endProgram, memoryOf, startProgram, watchMemory, type Program } from './program';

const RATE = 200;
const SECONDS = 60;
/** One alert in so many is new. */
const NEW_EVERY = 20;
const DUPLICATES = 10_000;
const MEGABYTES = 12;
/** Runs of the warm-up. */
const WARM = 10;

/** A service whose alerts start a runbook, and its intake in a process of its own. */
export interface AlertBench {
  bench: Bench;
  target: Target;
  intake: Program;
  stop(): Promise<void>;
}

export async function openAlertBench(worker: boolean, runbook = 'checkBackups'): Promise<AlertBench> {
  const bench = await openBench({ megabytes: MEGABYTES, worker });
  const token = randomBytes(24).toString('base64url');
  const port = await freePort();
  setEnvironment({ BENCH_TOKEN: token });
  addAlerts(bench.configFile, port, runbook);
  const intake = await startProgram(
    ['--config', bench.configFile, 'alerts'],
    `http://127.0.0.1:${port}/health/ready`,
  );
  const stop = async (): Promise<void> => {
    await endProgram(intake);
    await bench.stop();
  };
  return { bench, target: { url: `http://127.0.0.1:${port}/alerts/bench`, token }, intake, stop };
}

/** Time until an alert is answered, alerts per second, what 10,000 of one alert come to, and the memory for it. */
export async function measureAlerts(): Promise<Results> {
  const without = await openAlertBench(false);
  let results: Results;
  try {
    results = await measureAnswers(without);
  } finally {
    await without.stop();
  }
  const withWorker = await openAlertBench(true);
  try {
    return { ...results, ...(await measureDuplicates(withWorker)) };
  } finally {
    await withWorker.stop();
  }
}

async function measureAnswers({ bench, target, intake }: AlertBench): Promise<Results> {
  await sendSteadily(target, 8, { total: 200 }, (index) => `warm-${index % WARM}`);
  const peak = watchMemory(intake);
  const { answers, wanted } = await sendMix(target, 'steady');
  const p99 = percentile(
    answers.map(({ latencyMs }) => latencyMs),
    0.99,
  );
  const median = percentile(
    answers.map(({ latencyMs }) => latencyMs),
    0.5,
  );
  const lost = answers.filter(({ status }) => status !== 202).length;
  const started = await untilStarted(bench, wanted);
  say(`${started} of ${wanted} runs were started, ${lost} alerts were not taken`);
  if (lost > 0 || started !== wanted)
    throw new Error(`${lost} alerts refused, ${started} of ${wanted} runs started`);
  const burst = await sendSteadily(target, 64, { seconds: 20 }, (index) =>
    index % NEW_EVERY === 0 ? `burst-${index}` : `burst-${index - (index % NEW_EVERY)}`,
  );
  const taken = burst.answers.filter(({ status }) => status === 202).length;
  return {
    'alerts.ackP99Ms': {
      value: round(p99, 0),
      unit: 'ms',
      note: `goal < 250. From the moment an alert was due until its 202, ${RATE} a second for ${SECONDS} s, one in ${NEW_EVERY} of them new, generic source with bearer token, intake in a process of its own, no worker; median ${round(median, 1)} ms; ${answers.length} sent, ${lost} lost, ${started} runs persisted`,
    },
    'alerts.perSecond': {
      value: round(taken / burst.seconds, 0),
      unit: 'alerts/s',
      note: `the same mix with 64 on their way at any time for ${round(burst.seconds, 0)} s; ${burst.answers.length - taken} of ${burst.answers.length} were not taken`,
    },
    'intake.rssMb': {
      value: round(peak(), 0),
      unit: 'MB',
      note: `the most that was seen of the intake during both; ${round(await memoryOf(intake), 0)} MB at their end`,
    },
  };
}

async function sendMix(target: Target, prefix: string): Promise<{ answers: Answer[]; wanted: number }> {
  const answers = await sendAtRate(
    target,
    RATE,
    SECONDS,
    (index) => `${prefix}-${Math.floor(index / NEW_EVERY)}`,
  );
  return { answers, wanted: (RATE * SECONDS) / NEW_EVERY };
}

async function measureDuplicates({ bench, target }: AlertBench): Promise<Results> {
  const { answers, seconds } = await sendSteadily(target, 64, { total: DUPLICATES }, () => 'one');
  const lost = answers.filter(({ status }) => status !== 202).length;
  const runs: string[] = [];
  for await (const { workflowId } of bench.client.workflow.list({ query: `WorkflowType = 'checkBackups'` }))
    runs.push(workflowId);
  const handle = bench.client.workflow.getHandle(runs[0] ?? '');
  await handle.result().catch(() => undefined);
  const { historyLength } = await handle.describe();
  return {
    'alerts.duplicates': {
      value: runs.length,
      unit: 'runs',
      note: `runs started by ${DUPLICATES} deliveries of one alert within ${round(seconds, 1)} s, with a worker; ${lost} not taken; the run's history has ${historyLength} events`,
    },
  };
}

/** Visibility follows after a moment. */
async function untilStarted({ client }: Bench, wanted: number): Promise<number> {
  const query = `WorkflowType = 'checkBackups'`;
  const deadline = Date.now() + 30_000;
  for (;;) {
    let found = 0;
    for await (const { runId } of client.workflow.list({ query })) if (runId !== '') found += 1;
    if (found - WARM >= wanted || Date.now() > deadline) return found - WARM;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function addAlerts(file: string, port: number, runbook: string): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  document.setIn(['limits'], { maxConcurrent: 100 });
  document.setIn(['services', 'booking', 'breaker'], { maxConcurrent: 50, cooldownMinutes: 0 });
  document.deleteIn(['schedules']);
  document.setIn(['alerts'], {
    port,
    maxPerMinute: 1_000_000,
    sources: {
      bench: {
        kind: 'generic',
        auth: { kind: 'bearer', tokens: ['${env:BENCH_TOKEN}'] },
        fields: { fingerprint: 'id', startsAt: 'since', status: 'state', title: 'title' },
      },
    },
    routes: [{ name: 'bench', match: { source: 'bench' }, runbook, input: { service: 'booking' } }],
  });
  writeFileSync(file, document.toString());
}

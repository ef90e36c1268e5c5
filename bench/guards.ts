import { readFileSync, writeFileSync } from 'node:fs';
import type { WorkflowHandle } from '@temporalio/client';
import { parseDocument } from 'yaml';
import { readGuardMemory } from '../src/activities/guard/reach-guard';
import type { Alert } from '../src/contract/alert';
import { guardId } from '../src/contract/guard';
import type { Severity } from '../src/contract/modes';
import { priorityOf } from '../src/contract/priority';
import type { RunStatus } from '../src/contract/report';
import { openBench, type Bench } from './environment';
import { median, percentile, round, say, type Results } from './measure';

const SERVICES = 50;
const MEGABYTES = 12;
/** Looks at the connections and finds nothing to do: as little as a run that an alert starts can be. */
const SHORT = 'relieveConnectionPool';
const RUNS = 600;
const WARM = 20;
/** Between two runs of one service, so that no alert counts as one that recurs. */
const UNANSWERED = 20;
const PAUSES = 20;
const SIGNALED = 26;

/** What it costs that runs which nobody started ask before they act: how many a second, and who has to wait for what. */
export async function measureGuards(): Promise<Results> {
  const bench = await openBench({ megabytes: MEGABYTES, prepare: addServices });
  try {
    await runAll(bench, 'warm', WARM);
    return {
      ...(await measureRuns(bench)),
      ...(await measureStarvation(bench)),
      ...(await measureSwitch(bench)),
    };
  } finally {
    await bench.stop();
  }
}

const serviceName = (index: number) => `service-${index % SERVICES}`;

function addServices(file: string): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  const { booking } = (document.toJS() as { services: { booking: object } }).services;
  for (let index = 0; index < SERVICES; index += 1)
    document.setIn(['services', serviceName(index)], document.createNode(booking));
  writeFileSync(file, document.toString({ lineWidth: 110 }));
}

let started = 0;

function start(
  { client, config }: Bench,
  runbook: string,
  service: string,
  input: Record<string, unknown> = {},
  priority: Severity = 'P2',
): Promise<WorkflowHandle> {
  started += 1;
  const alert: Alert = {
    source: 'bench',
    fingerprint: `bench-${started}`,
    startsAt: null,
    status: 'firing',
    severity: 'warning',
    title: 'bench',
    labels: {},
    annotations: {},
    link: null,
  };
  return client.workflow.start(runbook, {
    workflowId: `bench/${started}`,
    taskQueue: config.temporal.taskQueue,
    priority: priorityOf({ service, priority }),
    args: [{ service, startedBy: 'bench', alert, ...input }],
  });
}

/** Starts so many, a bounded number at once, and waits until each has ended. Returns the seconds from the first start on. */
async function runAll(bench: Bench, what: string, count: number): Promise<number> {
  const began = Date.now();
  const handles: WorkflowHandle[] = [];
  let next = 0;
  const starter = async (): Promise<void> => {
    for (let index = (next += 1); index <= count; index = next += 1)
      handles.push(await start(bench, SHORT, serviceName(index)));
  };
  await Promise.all(Array.from({ length: 10 }, starter));
  const accepted = (Date.now() - began) / 1_000;
  for (const handle of handles) await handle.result();
  const seconds = (Date.now() - began) / 1_000;
  say(`${what}: ${count} runs in ${round(seconds)} s, started after ${round(accepted)} s`);
  return seconds;
}

async function measureRuns(bench: Bench): Promise<Results> {
  const cpu = process.cpuUsage();
  const seconds = await runAll(bench, 'measured', RUNS);
  const { user, system } = process.cpuUsage(cpu);
  const signals = await busiest(bench);
  return {
    'runs.perSecond': {
      value: round(RUNS / seconds, 1),
      unit: 'runs/s',
      note: `goal >= 20. ${RUNS} runs of ${SHORT} over ${SERVICES} services as alerts start them, each admitted by its service's breaker and by the places of all services, looking at the connections and finding nothing to do; embedded stack, worker and client in one process, which used ${round((user + system) / 1e3 / RUNS, 1)} ms of a core for each run`,
    },
    'guard.signalsPerSecond': {
      value: round(signals.count / seconds, 1),
      unit: 'signals/s',
      note: `goal <= 5. ${signals.workflowId}, the busiest workflow of all at that rate: ${signals.count} signals in ${round(seconds, 1)} s`,
    },
  };
}

/** The entity that heard most, over all its executions, but for the warm-up. */
async function busiest({ client }: Bench): Promise<{ workflowId: string; count: number }> {
  const counts = new Map<string, number>();
  for await (const { workflowId, runId } of client.workflow.list({
    query: "WorkflowType IN ('guard', 'places')",
  })) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const signals = events?.filter(({ eventType }) => Number(eventType) === SIGNALED).length ?? 0;
    counts.set(workflowId, (counts.get(workflowId) ?? 0) + signals);
  }
  const [[workflowId, count] = ['', 0]] = [...counts].sort(([, one], [, other]) => other - one);
  return { workflowId, count };
}

const status = (handle: WorkflowHandle) => handle.query<RunStatus>('status');

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 120_000; !(await holds());) {
    if (Date.now() > deadline) throw new Error('never got there');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Approvals that nobody gives take no place: a run of a P1 acts as if they were not there. */
async function measureStarvation(bench: Bench): Promise<Results> {
  const waiting: WorkflowHandle[] = [];
  for (let index = 0; index < UNANSWERED; index += 1)
    waiting.push(await start(bench, 'backUpDatabase', serviceName(index), { mode: 'propose' }));
  for (const handle of waiting) await until(async () => (await status(handle)).waiting.length > 0);
  const began = Date.now();
  const urgent = await start(bench, SHORT, serviceName(0), {}, 'P1');
  await urgent.result();
  const value = Date.now() - began;
  for (const handle of waiting) await handle.cancel();
  return {
    'places.starvationMs': {
      value,
      unit: 'ms',
      note: `goal < 2,000. ${UNANSWERED} approvals that nobody gives, over as many services, then a P1: from its start until it had looked and ended`,
    },
  };
}

async function measureSwitch({ client, config }: Bench): Promise<Results> {
  const took: number[] = [];
  for (let turn = 0; turn < PAUSES; turn += 1) {
    for (const verb of ['pause', 'resume'] as const) {
      const began = Date.now();
      await client.workflow.signalWithStart('guard', {
        workflowId: guardId('all'),
        taskQueue: config.temporal.taskQueue,
        args: [{ target: 'all' }],
        signal: verb,
        signalArgs: [{ by: 'bench', reason: 'bench' }],
      });
      await until(async () => {
        const paused = (await readGuardMemory(client, 'all'))?.memory?.paused ?? null;
        return (paused !== null) === (verb === 'pause');
      });
      if (verb === 'pause') took.push(Date.now() - began);
    }
  }
  return {
    'killSwitch.effectiveMs': {
      value: Math.round(percentile(took, 0.99)),
      unit: 'ms',
      note: `goal < 1,000, worst of ${PAUSES}; median ${Math.round(median(took))}. From the order until every gate and every change reads it`,
    },
  };
}

import type { WorkflowHandle } from '@temporalio/client';
import type { RunStatus } from '../src/contract/report';
import type { Bench } from './environment';
import { pauseOnce } from './kill-switch';
import { median, percentile, round, type Results } from './measure';
import { openShortBench, runAll, SERVICES, serviceName, SHORT, start, until, warmUp } from './short-runs';
import { busiest, countAll, listed, perRun, type Counts } from './turns';

const UNANSWERED = 20;
const PAUSES = 20;

/** What it costs that runs which nobody started ask before they act: how many a second, and who has to wait for what. */
export async function measureGuards(runs: number): Promise<Results> {
  const bench = await openShortBench();
  try {
    await warmUp(bench);
    return {
      ...(await measureTurns(bench)),
      ...(await measureRuns(bench, runs)),
      ...(await measureStarvation(bench)),
      ...(await measureSwitch(bench)),
    };
  } finally {
    await bench.stop();
  }
}

/** What one run alone costs, counted in histories. */
async function measureTurns(bench: Bench): Promise<Results> {
  const before = await countAll(bench.client);
  const { handles } = await runAll(bench, 'alone', 1);
  const counts = perRun(await countAll(bench.client, handles), before, 1);
  return {
    'runs.turns': {
      value: counts.turns,
      unit: 'turns',
      note: `of one short run alone, those of its service's guard and of the places that it causes included: ${listed(counts)}`,
    },
  };
}

async function measureRuns(bench: Bench, runs: number): Promise<Results> {
  const before = await countAll(bench.client);
  const cpu = process.cpuUsage();
  const { seconds, handles } = await runAll(bench, 'measured', runs);
  const { user, system } = process.cpuUsage(cpu);
  const counts: Counts = perRun(await countAll(bench.client, handles), before, runs);
  const signals = await busiest(bench.client, before);
  return {
    'runs.perSecond': {
      value: round(runs / seconds, 1),
      unit: 'runs/s',
      note: `goal >= 20. ${runs} runs of ${SHORT} over ${SERVICES} services as alerts start them, each admitted by its service's breaker and by the places of all services, looking at the connections and finding nothing to do; embedded stack, worker and client in one process, which used ${round((user + system) / 1e3 / runs, 1)} ms of a core for each run. In the histories, for each run: ${listed(counts)}`,
    },
    'guard.signalsPerSecond': {
      value: round(signals.count / seconds, 1),
      unit: 'signals/s',
      note: `goal <= 5. ${signals.workflowId}, the busiest workflow of all at that rate: ${signals.count} signals and Updates in ${round(seconds, 1)} s`,
    },
  };
}

const status = (handle: WorkflowHandle) => handle.query<RunStatus>('status');

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

async function measureSwitch(bench: Bench): Promise<Results> {
  const took: number[] = [];
  for (let turn = 0; turn < PAUSES; turn += 1) took.push(await pauseOnce(bench));
  return {
    'killSwitch.effectiveMs': {
      value: Math.round(percentile(took, 0.99)),
      unit: 'ms',
      note: `goal < 1,000, worst of ${PAUSES}; median ${Math.round(median(took))}. From the order until every gate and every change reads it`,
    },
  };
}

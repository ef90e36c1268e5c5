import { readFileSync, writeFileSync } from 'node:fs';
import type { WorkflowHandle } from '@temporalio/client';
import { parseDocument } from 'yaml';
import type { Alert } from '../src/contract/alert';
import type { Severity } from '../src/contract/modes';
import { priorityOf } from '../src/contract/priority';
import { openBench, type Bench } from './environment';
import { round, say } from './measure';

export const SERVICES = 50;
/** Looks at the connections and finds nothing to do: as little as a run that an alert starts can be. */
export const SHORT = 'relieveConnectionPool';
const MEGABYTES = 12;
const WARM = 20;

/** A bench of many services. Whoever opens it stops it. */
export function openShortBench(worker = true): Promise<Bench> {
  return openBench({ megabytes: MEGABYTES, worker, prepare: addServices });
}

/** The first runs load code and start the entities. */
export async function warmUp(bench: Bench): Promise<number> {
  await runAll(bench, 'warm', WARM);
  return WARM;
}

export const serviceName = (index: number) => `service-${index % SERVICES}`;

function addServices(file: string): void {
  const document = parseDocument(readFileSync(file, 'utf8'));
  const { booking } = (document.toJS() as { services: { booking: object } }).services;
  for (let index = 0; index < SERVICES; index += 1)
    document.setIn(['services', serviceName(index)], document.createNode(booking));
  writeFileSync(file, document.toString({ lineWidth: 110 }));
}

let started = 0;

/** As an alert starts it that no other run had. */
export function start(
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
export async function runAll(
  bench: Bench,
  what: string,
  count: number,
): Promise<{ seconds: number; handles: WorkflowHandle[] }> {
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
  return { seconds, handles };
}

/** Waits until it holds; throws after two minutes. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 120_000; !(await holds());) {
    if (Date.now() > deadline) throw new Error('never got there');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

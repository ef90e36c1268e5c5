import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultKind, FaultPlan } from './draw';
import { restartTemporal, type World } from './world';

/** Most sessions last for a moment. */
const LOOKS = 60;

/** What was really done, and to what; undefined where there was nothing that it could hit. */
type Strike = (world: World, plan: FaultPlan) => Promise<string | undefined>;

const nth = <T>(all: T[], which: number): T | undefined => all[which % Math.max(1, all.length)];

const STRIKES: Record<FaultKind, Strike> = {
  'worker killed': async ({ workers }, { which }) => {
    const worker = nth(
      workers.filter(({ now }) => now !== undefined),
      which,
    );
    await worker?.kill();
    return worker && 'it is started again';
  },

  'worker frozen': async ({ workers }, { which, forMs }) => {
    const worker = nth(workers, which)?.now;
    worker?.freeze();
    if (worker === undefined) return undefined;
    await sleep(forMs);
    worker.thaw();
    return `for ${forMs} ms`;
  },

  'PostgreSQL stopped at once': async ({ driver: { stack } }, { forMs }) => {
    // "Immediate": no session is told, nothing is written.
    process.kill(stack.postgres.pid(), 'SIGQUIT');
    await sleep(forMs / 4);
    await stack.postgres.restart();
    return `for ${forMs / 4} ms`;
  },

  'Temporal killed': async (world, { forMs }) => {
    await world.temporal.kill();
    await sleep(forMs / 4);
    await restartTemporal(world);
    return `for ${forMs / 4} ms`;
  },

  'guard terminated': async ({ driver: { stack } }, { which }) => {
    const { workflow } = stack.client;
    const guards: string[] = [];
    const query = `WorkflowType = 'guard' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of workflow.list({ query })) guards.push(workflowId);
    const guard = nth(guards.sort(), which);
    if (guard === undefined) return undefined;
    await workflow.getHandle(guard).terminate('chaos');
    return guard;
  },

  'session of a step ended': async ({ sql }, { which }) => {
    const look = () =>
      sql<{ pid: number; name: string }>(
        `SELECT pid, application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'dr:%' ORDER BY pid`,
        'postgres',
      );
    let session = nth(await look(), which);
    for (let looks = 1; session === undefined && looks < LOOKS; looks += 1) {
      await sleep(50);
      session = nth(await look(), which);
    }
    if (session === undefined) return undefined;
    await sql(`SELECT pg_terminate_backend(${session.pid})`, 'postgres');
    return session.name;
  },
};

export interface Struck {
  kind: FaultKind;
  atMs: number;
  what: string;
}

/** One fault at a time for each thing that can fail: what is down already is waited for. */
export function createStriker(world: World) {
  const queues = new Map<string, Promise<unknown>>();
  const needs: Record<FaultKind, string[]> = {
    'worker killed': ['workers'],
    'worker frozen': [],
    'PostgreSQL stopped at once': ['postgres'],
    'Temporal killed': ['temporal'],
    'guard terminated': ['temporal'],
    'session of a step ended': ['postgres'],
  };
  return async (plan: FaultPlan): Promise<Struck | undefined> => {
    const waits = needs[plan.kind].map((name) => queues.get(name) ?? Promise.resolve());
    const striking = Promise.all(waits).then(async () => {
      const atMs = Date.now();
      const what = await STRIKES[plan.kind](world, plan);
      return what === undefined ? undefined : { kind: plan.kind, atMs, what };
    });
    const settled = striking.catch(() => undefined);
    for (const name of needs[plan.kind]) queues.set(name, settled);
    return striking;
  };
}

import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Priority } from '@temporalio/common';
import type { LoadedConfig } from '../../config/load';
import { GUARD_ALL, GUARD_MEMO, GUARD_TYPE, guardId, type GuardMemory } from '../../contract/guard';

/** Before every run: each of them waits for its guard. */
export const ENTITY_PRIORITY: Priority = { priorityKey: 1 };

const isGone = (error: unknown): boolean => error instanceof WorkflowNotFoundError;

/** What is known of a guard, whether or not it runs; undefined where there never was one. Reads the primary store. */
export async function readGuardMemory(
  client: Client,
  target: string,
): Promise<{ memory: GuardMemory | undefined; runs: boolean } | undefined> {
  try {
    const { memo, status } = await client.workflow.getHandle(guardId(target)).describe();
    const runs = status.name === 'RUNNING' || status.name === 'PAUSED';
    return { memory: memo?.[GUARD_MEMO] as GuardMemory | undefined, runs };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Signals the guard of a target. Where it is gone, or never was, one is started that goes on from what the last one knew. */
export async function signalGuard(
  client: Client,
  taskQueue: string,
  target: string,
  signal: string,
  argument: unknown,
): Promise<void> {
  const workflowId = guardId(target);
  try {
    return await client.workflow.getHandle(workflowId).signal(signal, argument);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  const before = (await readGuardMemory(client, target))?.memory;
  await client.workflow.signalWithStart(GUARD_TYPE, {
    workflowId,
    taskQueue,
    args: [{ target, ...(before === undefined ? {} : { before }) }],
    ...(before === undefined ? {} : { memo: { [GUARD_MEMO]: before } }),
    priority: ENTITY_PRIORITY,
    signal,
    signalArgs: [argument],
  });
}

/** Starts a guard that is gone and was not to forget something. Idempotent; does nothing where it runs or never was. */
export async function reviveGuard(client: Client, taskQueue: string, target: string): Promise<void> {
  const known = await readGuardMemory(client, target);
  if (known?.memory === undefined || known.runs) return;
  await client.workflow.start(GUARD_TYPE, {
    workflowId: guardId(target),
    taskQueue,
    args: [{ target, before: known.memory }],
    memo: { [GUARD_MEMO]: known.memory },
    priority: ENTITY_PRIORITY,
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}

/** The kill switch must be there before anybody needs it: the Temporal UI can only signal a workflow that runs. */
async function ensureKillSwitch(client: Client, taskQueue: string): Promise<void> {
  if ((await readGuardMemory(client, GUARD_ALL)) !== undefined) return;
  await client.workflow.start(GUARD_TYPE, {
    workflowId: guardId(GUARD_ALL),
    taskQueue,
    args: [{ target: GUARD_ALL }],
    priority: ENTITY_PRIORITY,
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}

/** The same for every target of the configuration; the kill switch is started where it never was. */
export async function reviveGuards(client: Client, { services, temporal }: LoadedConfig): Promise<void> {
  const targets = Object.entries(services).flatMap(([service, { environments }]) => [
    service,
    ...Object.keys(environments).map((environment) => `${service}/${environment}`),
  ]);
  await ensureKillSwitch(client, temporal.taskQueue);
  for (const target of [GUARD_ALL, ...targets]) await reviveGuard(client, temporal.taskQueue, target);
}

import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Priority } from '@temporalio/common';
import type { LoadedConfig } from '../../config/load';
import {
  GUARD_ALL,
  GUARD_MEMO,
  GUARD_TYPE,
  guardId,
  targetOfGuard,
  type GuardMemory,
} from '../../contract/guard';

/** Before every run: each of them waits for its guard. */
export const ENTITY_PRIORITY: Priority = { priorityKey: 1 };

const isGone = (error: unknown): boolean => error instanceof WorkflowNotFoundError;

const isOpen = (status: string): boolean => status === 'RUNNING' || status === 'PAUSED';

/** Whether that very run has not ended. */
export async function runsStill(client: Client, workflowId: string, runId: string): Promise<boolean> {
  try {
    return isOpen((await client.workflow.getHandle(workflowId, runId).describe()).status.name);
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** What is known of a guard, whether or not it runs; undefined where there never was one. Reads the primary store. */
export async function readGuardMemory(
  client: Client,
  target: string,
): Promise<{ memory: GuardMemory | undefined; runs: boolean } | undefined> {
  try {
    const { memo, status } = await client.workflow.getHandle(guardId(target)).describe();
    return { memory: memo?.[GUARD_MEMO] as GuardMemory | undefined, runs: isOpen(status.name) };
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
  try {
    return await client.workflow.getHandle(guardId(target)).signal(signal, argument);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  const before = (await readGuardMemory(client, target))?.memory;
  await client.workflow.signalWithStart(GUARD_TYPE, {
    ...guardStart(taskQueue, target, before),
    signal,
    signalArgs: [argument],
  });
}

/**
 * Starts a guard that is gone and was not to forget something. Idempotent; does nothing where it runs or never was. Only the
 * kill switch is started also then: the Temporal UI can signal a workflow that runs, and no other.
 */
export async function reviveGuard(client: Client, taskQueue: string, target: string): Promise<void> {
  const known = await readGuardMemory(client, target);
  if (known?.runs === true || (known?.memory === undefined && target !== GUARD_ALL)) return;
  await client.workflow.start(GUARD_TYPE, {
    ...guardStart(taskQueue, target, known?.memory),
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}

/** The same for every guard that was ended, also of what the configuration does not name any more, and for the kill switch. */
export async function reviveGuards(client: Client, { temporal }: LoadedConfig): Promise<void> {
  const targets = new Set([GUARD_ALL]);
  // One that continued as new runs on; none ever completes.
  const ended = ['Terminated', 'Failed', 'TimedOut', 'Canceled'].map((status) => `'${status}'`).join(', ');
  const query = `WorkflowType = '${GUARD_TYPE}' AND TaskQueue = '${temporal.taskQueue}' AND ExecutionStatus IN (${ended})`;
  for await (const { workflowId } of client.workflow.list({ query })) targets.add(targetOfGuard(workflowId));
  for (const target of targets) await reviveGuard(client, temporal.taskQueue, target);
}

function guardStart(taskQueue: string, target: string, before: GuardMemory | undefined) {
  return {
    workflowId: guardId(target),
    taskQueue,
    args: [{ target, ...(before === undefined ? {} : { before }) }],
    ...(before === undefined ? {} : { memo: { [GUARD_MEMO]: before } }),
    priority: ENTITY_PRIORITY,
  };
}

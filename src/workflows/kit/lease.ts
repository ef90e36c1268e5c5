import { CancellationScope, condition, getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import { GUARD_ALL, guardId, type LeaseRequest } from '../../contract/guard';
import { activitiesFor } from './presets';
import { endEntry, publish, startEntry, type RunState } from './state';
import type { Fence } from '../../contract/place';

// Asking again is idempotent, and heals a request that a restarted guard forgot.
const ASK_AGAIN_MS = 60_000;

/**
 * Waits until the guard of `target` grants the lease; returns the fence that everything changing the target must carry.
 * `atLeast` is the highest token found at the target, so that a guard that lost its state starts above it.
 */
export async function acquireLease(state: RunState, target: string, atLeast = 0): Promise<Fence> {
  const entry = startEntry(state, `Lease of ${target}`, 'running');
  try {
    const token = await waitForGrant(state, request(state, target, 'lease', atLeast));
    endEntry(state, entry, 'done', `fencing token ${token}`);
    return { target, token };
  } catch (error) {
    endEntry(state, entry, 'failed', 'not granted');
    await releaseLease(state, target);
    throw error;
  }
}

/** Passes the kill switch; while someone has paused all runbooks, waits here. */
export async function passKillSwitch(state: RunState): Promise<void> {
  await waitForGrant(state, request(state, GUARD_ALL, 'pass', 0));
}

/** Gives the lease back, also while it is only waited for. The guard would find a dead holder anyway, so failures do not matter. */
export async function releaseLease(state: RunState, target: string): Promise<void> {
  state.leases.delete(target);
  const { workflowId, runId } = workflowInfo();
  await CancellationScope.nonCancellable(async () => {
    try {
      await getExternalWorkflowHandle(guardId(target)).signal('release', { workflowId, runId });
    } catch {
      // The guard is gone; so is the lease.
    }
  });
}

function request(
  state: RunState,
  target: string,
  kind: LeaseRequest['kind'],
  atLeast: number,
): LeaseRequest & { target: string } {
  const { workflowId, runId } = workflowInfo();
  return { target, kind, workflowId, runId, atLeast, runbook: state.report.runbook };
}

async function waitForGrant(state: RunState, wanted: LeaseRequest & { target: string }): Promise<number> {
  const { target, kind } = wanted;
  state.leases.delete(target);
  const granted = () => state.leases.get(target)?.state === 'granted';
  const summary = state.report.summary;
  const { askGuard } = activitiesFor('read', kind === 'pass' ? 'Kill switch' : `Lease of ${target}`);
  while (!granted()) {
    await askGuard(wanted);
    const heard = () => state.leases.has(target);
    if (await condition(heard, ASK_AGAIN_MS)) {
      if (granted()) break;
      state.report.summary = waitingText(state, target, kind);
      publish(state);
      await condition(granted, ASK_AGAIN_MS);
    }
  }
  state.report.summary = summary;
  publish(state);
  return state.leases.get(target)?.token ?? 0;
}

function waitingText(state: RunState, target: string, kind: LeaseRequest['kind']): string {
  const holder = state.leases.get(target)?.holder ?? '';
  if (kind === 'pass') return `paused: ${holder}. \`runbooks resume\` lets it go on.`;
  return `waiting for the lease of ${target}: ${holder}`;
}

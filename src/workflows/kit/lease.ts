import { CancellationScope, condition, getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import { guardId, type LeaseRequest } from '../../contract/guard';
import { askAgainAfter } from './ask-again';
import { causeOf } from './failure';
import { activitiesFor } from './presets';
import { rankOf } from './rank';
import { addNote, endEntry, publish, startEntry, type RunState } from './state';
import type { Fence } from '../../contract/place';

/**
 * Waits until the guard of `target` grants the lease; returns the fence that everything changing the target must carry.
 * `atLeast` is the highest token found at the target, so that a guard that lost its state starts above it.
 */
export async function acquireLease(state: RunState, target: string, atLeast = 0): Promise<Fence> {
  const entry = startEntry(state, `Lease of ${target}`, 'running');
  try {
    const token = await waitForGrant(state, request(state, target, atLeast));
    endEntry(state, entry, 'done', `fencing token ${token}`);
    return { target, token };
  } catch (error) {
    endEntry(state, entry, 'failed', 'not granted');
    await releaseLease(state, target);
    throw error;
  }
}

/** Gives the lease back, also while it is only waited for. The guard would find a dead holder anyway, so failures do not matter. */
export async function releaseLease(state: RunState, target: string): Promise<void> {
  state.leases.delete(target);
  await tellGuardOf(target, 'release', {});
}

/** The run needs a person: the lease stays, whatever becomes of the run, until one has released it. */
export async function keepLease(state: RunState, target: string, why: string): Promise<void> {
  const problem = await tellGuardOf(target, 'keep', { why });
  if (problem !== undefined) addNote(state, `The lease of ${target} may not be kept`, problem);
}

/** Also where the guard is gone: the one that follows it remembers the lease. Returns why it could not be told. */
async function tellGuardOf(
  target: string,
  signal: 'release' | 'keep',
  words: { why?: string },
): Promise<string | undefined> {
  const { workflowId, runId } = workflowInfo();
  const message = { workflowId, runId, ...words };
  return CancellationScope.nonCancellable(async () => {
    try {
      await getExternalWorkflowHandle(guardId(target)).signal(signal, message);
    } catch {
      const { tellGuard } = activitiesFor('read', `The lease of ${target}: ${signal}`);
      return tellGuard({ target, signal, ...message }).then(
        () => undefined,
        (error: unknown) => causeOf(error).message,
      );
    }
    return undefined;
  });
}

function request(state: RunState, target: string, atLeast: number): LeaseRequest & { target: string } {
  const { workflowId, runId } = workflowInfo();
  return { target, workflowId, runId, atLeast, runbook: state.report.runbook, rank: rankOf(state) };
}

async function waitForGrant(state: RunState, wanted: LeaseRequest & { target: string }): Promise<number> {
  const { target } = wanted;
  state.leases.delete(target);
  const granted = () => state.leases.get(target)?.state === 'granted';
  const { summary } = state.report;
  const { askGuard } = activitiesFor('read', `Lease of ${target}`);
  let rests = false;
  for (let asked = 0; !granted(); asked += 1) {
    // It may take days: others may have its place meanwhile.
    if (asked > 0 && !rests) {
      await state.place.give();
      rests = true;
    }
    // Idempotent, and heals a request that nobody remembers.
    await askGuard(wanted);
    const againMs = askAgainAfter(asked);
    const heard = () => state.leases.has(target);
    if (await condition(heard, againMs)) {
      if (granted()) break;
      state.report.summary = `waiting for the lease of ${target}: ${state.leases.get(target)?.holder ?? ''}`;
      publish(state);
      await condition(granted, againMs);
    }
  }
  if (rests) await state.place.take(false);
  state.report.summary = summary;
  publish(state);
  return state.leases.get(target)?.token ?? 0;
}

import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Letter, Release } from '../../contract/guard';
import { PLACES_TYPE, type PlaceRequest } from '../../contract/places';
import { ENTITY_PRIORITY } from './reach-guard';
import { sideBySide } from './side-by-side';

/**
 * Sends signals: those to one workflow in their order, different ones side by side, a bounded number at once. Returns the
 * runs that have ended. Throws when the server takes none.
 */
export async function postLetters(client: Client, taskQueue: string, letters: Letter[]): Promise<Release[]> {
  const byReceiver = new Map<string, Letter[]>();
  for (const letter of letters) {
    const receiver = `${letter.workflowId} ${letter.runId ?? ''}`;
    byReceiver.set(receiver, [...(byReceiver.get(receiver) ?? []), letter]);
  }
  const gone: Release[] = [];
  await sideBySide(byReceiver.values(), async (ofOne) => {
    for (const letter of ofOne) await send(client, taskQueue, letter, gone);
  });
  return gone;
}

async function send(client: Client, taskQueue: string, letter: Letter, gone: Release[]): Promise<void> {
  const { workflowId, runId, signal, argument } = letter;
  if (signal === 'want') return wantPlace(client, taskQueue, workflowId, argument as PlaceRequest);
  try {
    await client.workflow.getHandle(workflowId, runId).signal(signal, argument);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    if (runId !== undefined) gone.push({ workflowId, runId });
  }
}

/** A shard is started by the first run that needs it. */
async function wantPlace(
  client: Client,
  taskQueue: string,
  workflowId: string,
  wish: PlaceRequest,
): Promise<void> {
  const shard = Number(workflowId.split('/').at(-1));
  await client.workflow.signalWithStart(PLACES_TYPE, {
    workflowId,
    taskQueue,
    args: [{ shard, limits: wish.limits }],
    priority: ENTITY_PRIORITY,
    signal: 'want',
    signalArgs: [wish],
  });
}

import type { DataConverter } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import type { StoredRun } from './histories';

/** What came of replaying one run. */
export interface Replayed extends Omit<StoredRun, 'history'> {
  state: 'ok' | 'failed' | 'unknown';
  detail: string;
}

/**
 * Replays runs with a bundle's code. A run whose type the bundle does not have is `unknown`: a worker of it could not go on
 * with that run either. `types` are those of the bundle, `dataConverter` that of whoever recorded the runs.
 */
export async function replayRuns(
  code: string,
  types: readonly string[],
  runs: readonly StoredRun[],
  dataConverter?: DataConverter,
): Promise<Replayed[]> {
  const results: Replayed[] = [];
  for (const { history, ...run } of runs) {
    results.push(
      types.includes(run.type)
        ? { ...run, ...(await replayOne(code, run, history, dataConverter)) }
        : { ...run, ...unknown(run.type) },
    );
  }
  return results;
}

async function replayOne(
  code: string,
  { workflowId }: Pick<StoredRun, 'workflowId'>,
  history: unknown,
  dataConverter: DataConverter | undefined,
): Promise<Pick<Replayed, 'state' | 'detail'>> {
  try {
    // Under its own ID: names of children begin with it.
    await Worker.runReplayHistory({ workflowBundle: { code }, dataConverter }, history, workflowId);
    return { state: 'ok', detail: 'does the same today' };
  } catch (error) {
    return { state: 'failed', detail: reasonOf(error as Error) };
  }
}

/** Of a message of the SDK, the sentence that says which step is another one now. */
function reasonOf({ message }: Error): string {
  const [, sentence] = /Nondeterminism error: (.*?)\\?", source/s.exec(message) ?? [];
  return sentence ?? message.split('\n')[0] ?? 'it failed';
}

function unknown(type: string): Pick<Replayed, 'state' | 'detail'> {
  return {
    state: 'unknown',
    detail: `no pack here has a workflow ${type}: name its pack in \`packs:\`, or keep a worker that has it until its runs have ended`,
  };
}

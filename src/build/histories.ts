import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';

/** One run as it was recorded. */
export interface StoredRun {
  /** Workflow type. */
  type: string;
  workflowId: string;
  /** Where it comes from: a file, or a run ID. */
  source: string;
  history: unknown;
}

interface HistoryJson {
  events?: {
    workflowExecutionStartedEventAttributes?: { workflowId?: string; workflowType?: { name?: string } };
  }[];
}

/** The histories in a folder, as the Temporal UI and `temporal workflow show --output json` save them. Throws for others. */
export function readHistories(folder: string): StoredRun[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.sort().map((file) => {
    const history = JSON.parse(readFileSync(join(folder, file), 'utf8')) as HistoryJson;
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    const type = started?.workflowType?.name;
    if (type === undefined)
      throw new Error(
        `${join(folder, file)} is no history: its first event does not say which workflow was started. Save one with \`temporal workflow show --workflow-id <id> --output json\`.`,
      );
    return { type, workflowId: started?.workflowId ?? file, source: file, history };
  });
}

export interface Newest {
  /** Types that are looked for by name. */
  types: readonly string[];
  taskQueue: string;
  /** Runs of each type. */
  count: number;
}

/** As many of the newest runs of a task queue are looked through for types that nobody named. */
const LOOK_THROUGH = 500;

/** The newest runs of each type: of those named, and of others that are on the task queue. */
export async function fetchNewest(client: Client, { types, taskQueue, count }: Newest): Promise<StoredRun[]> {
  const found: StoredRun[] = [];
  const take = async (query: string, limit: number, wanted: (type: string) => boolean): Promise<void> => {
    let seen = 0;
    for await (const { workflowId, runId, type } of client.workflow.list({ query })) {
      if ((seen += 1) > limit) return;
      const had = found.filter((run) => run.type === type).length;
      if (!wanted(type) || had >= count) continue;
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      found.push({ type, workflowId, source: runId, history });
    }
  };
  for (const type of types)
    await take(`WorkflowType = '${type}' AND TaskQueue = '${taskQueue}'`, count, () => true);
  await take(`TaskQueue = '${taskQueue}'`, LOOK_THROUGH, (type) => !types.includes(type));
  return found;
}

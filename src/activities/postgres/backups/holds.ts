/**
 * Which runs have chosen a backup: a mark of each lies beside the manifest, and the retention leaves the backup to them for
 * as long as they run. Nothing has to be let go: the mark of a run that has ended, however it ended, holds nothing.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { currentActivity } from '../../support/heartbeat';
import { syncPath } from './manifest';

const HOLDS_FOLDER = 'holds';

interface Hold {
  workflowId: string;
  since: string;
}

/** Holds a backup for the run of this activity. Throws ENOENT where the backup is gone. */
export async function holdFor(folder: string): Promise<void> {
  const holds = join(folder, HOLDS_FOLDER);
  await mkdir(holds, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const { name, text } = holdOf();
  await writeFile(join(holds, name), text, { mode: 0o600, flush: true });
  await syncPath(holds);
}

/** The mark of the run of this activity. Its name is a hash: a workflow ID has slashes. */
export function holdOf(): { name: string; text: string } {
  const { workflowId } = currentActivity();
  const hold: Hold = { workflowId, since: new Date().toISOString() };
  const name = createHash('sha256').update(workflowId).digest('hex').slice(0, 32);
  return { name: `${name}.json`, text: JSON.stringify(hold) };
}

/** Whether a run that has chosen the backup still runs. */
export async function isHeld(folder: string, client: Client | undefined): Promise<boolean> {
  const holds = join(folder, HOLDS_FOLDER);
  const names = await readdir(holds).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    if (await isHolding(await readFile(join(holds, name), 'utf8'), client)) return true;
  }
  return false;
}

/** What cannot be read, or asked about, holds: a backup too many is better than one too few. */
export async function isHolding(hold: string, client: Client | undefined): Promise<boolean> {
  const workflowId = workflowOf(hold);
  if (workflowId === undefined || client === undefined) return true;
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' || status.name === 'PAUSED';
  } catch (error) {
    return !(error instanceof WorkflowNotFoundError);
  }
}

function workflowOf(hold: string): string | undefined {
  try {
    return (JSON.parse(hold) as Partial<Hold>).workflowId;
  } catch {
    return undefined;
  }
}

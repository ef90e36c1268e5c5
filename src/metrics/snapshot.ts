import type { Client } from '@temporalio/client';
import type { Project } from '../catalogue/catalogue';
import type { ScheduleState } from '../schedules/read';
import { together } from './in-turns';
import { readGuards, type GuardView } from './read-guards';
import { readProofs, type Proofs } from './read-proofs';
import { countRecent, readOpenRuns, type OpenRuns } from './read-runs';
import { readAllSchedules } from './read-schedules';
import { readWorkers, type Workers } from './read-workers';

/** What Temporal said about everything at one moment. */
export interface Snapshot {
  atMs: number;
  workers: Workers;
  runs: OpenRuns;
  /** Runs of the last day that ended so, by service. */
  needsHuman: Map<string, number>;
  partial: Map<string, number>;
  guards: GuardView[];
  /** By service, for those that have backups. */
  proofs: Map<string, Proofs>;
  schedules: ScheduleState[];
}

/** Reads it all, with bounded work. `before` is what was read last. Throws when Temporal does not answer. */
export async function readSnapshot(
  client: Client,
  config: Project,
  before: Snapshot | undefined,
): Promise<Snapshot> {
  const atMs = Date.now();
  const workers = await readWorkers(client, config.temporal.taskQueue);
  // Without a worker nothing answers a query, and each would be waited for in vain.
  const answering = workers.all > 0;
  const [runs, needsHuman, partial, guards, proofs, schedules] = await together([
    readOpenRuns(client, config.catalogue, answering, before?.runs.waiting ?? []),
    countRecent(client, config, 'NEEDS_HUMAN'),
    countRecent(client, config, 'PARTIAL'),
    readGuards(client, answering, before?.guards ?? []),
    readProofs(client, config),
    readAllSchedules(client, config),
  ]);
  return { atMs, workers, runs, needsHuman, partial, guards, proofs, schedules };
}

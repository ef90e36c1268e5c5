import type { Client } from '@temporalio/client';
import type { Project } from '../catalogue/catalogue';
import type { ScheduleState } from '../schedules/read';
import { together } from './in-turns';
import { readGuards, type GuardView } from './read-guards';
import { isComplete, proofsOf, readProofs, type ProofReading, type Proofs } from './read-proofs';
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
  proofReading: ProofReading;
  /** Those that were read. */
  schedules: ReadonlyMap<string, ScheduleState>;
  /** What is there and was not read, by what it is. */
  unread: Record<string, number>;
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
  const [runs, { needsHuman, partial }, { guards, unasked }, proofReading, schedules] = await together([
    readOpenRuns(client, config.catalogue, answering, before?.runs.waiting ?? []),
    countRecent(client, config),
    readGuards(client, answering, before?.guards ?? []),
    readProofs(client, before?.proofReading),
    readAllSchedules(client, config, before?.schedules),
  ]);
  const unread = {
    proofs: Number(!isComplete(proofReading)),
    schedules: Object.keys(config.schedules).length - schedules.size,
    guards: unasked,
  };
  const proofs = proofsOf(config, proofReading);
  return { atMs, workers, runs, needsHuman, partial, guards, proofs, proofReading, schedules, unread };
}

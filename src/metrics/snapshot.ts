import type { Client } from '@temporalio/client';
import type { Project } from '../catalogue/catalogue';
import type { ScheduleState } from '../schedules/read';
import { together } from '../host/in-turns';
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

/**
 * Reads it all, with bounded work. `before` is what was read last: what a limit of the namespace kept from being read is as
 * it was, and is counted as unread. Throws when Temporal does not answer.
 */
export async function readSnapshot(
  client: Client,
  config: Project,
  before: Snapshot | undefined,
): Promise<Snapshot> {
  const atMs = Date.now();
  const workers = await readWorkers(client, config.temporal.taskQueue);
  // Without a worker nothing answers a query, and each would be waited for in vain.
  const answering = workers.all > 0;
  const refused = new Set<string>();
  const reading = {
    runs: readOpenRuns(client, config.catalogue, answering, before?.runs.waiting ?? []),
    endings: countRecent(client, config),
    guards: readGuards(client, answering, before?.guards ?? []),
    proofs: readProofs(client, before?.proofReading),
    schedules: readAllSchedules(client, config, before?.schedules),
  };
  const orBefore = <T>(what: keyof typeof reading, read: Promise<T>, known: T | undefined): Promise<T> =>
    read.catch((error: unknown) => {
      if (known === undefined) throw error;
      refused.add(what);
      return known;
    });
  const [runs, endings, { guards, unasked }, proofReading, schedules] = await together([
    orBefore('runs', reading.runs, before?.runs),
    orBefore('endings', reading.endings, before),
    orBefore('guards', reading.guards, before && { guards: before.guards, unasked: before.guards.length }),
    orBefore('proofs', reading.proofs, before?.proofReading),
    orBefore('schedules', reading.schedules, before?.schedules),
  ]);
  if (refused.size === Object.keys(reading).length) await reading.runs;
  const unread = {
    runs: Number(refused.has('runs')),
    endings: Number(refused.has('endings')),
    proofs: Number(refused.has('proofs') || !isComplete(proofReading)),
    schedules: refused.has('schedules')
      ? Object.keys(config.schedules).length
      : Object.keys(config.schedules).length - schedules.size,
    guards: refused.has('guards') ? Math.max(1, unasked) : unasked,
  };
  const { needsHuman, partial } = endings;
  const proofs = proofsOf(config, proofReading);
  return { atMs, workers, runs, needsHuman, partial, guards, proofs, proofReading, schedules, unread };
}

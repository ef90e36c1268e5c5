import type { Client } from '@temporalio/client';
import {
  GUARD_ALL,
  coveringTargets,
  guardId,
  type Admission,
  type AdmissionNotice,
  type GuardState,
  type Keep,
  type Leaving,
  type LeaseRequest,
  type Letter,
  type Pause,
  type Release,
  type SickReport,
} from '../../contract/guard';
import { placesId, type PlaceRequest } from '../../contract/places';
import { searchAttributes } from '../../contract/search-attributes';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { createAsking } from './ask-at-once';
import { postLetters } from './post';
import { readGuardMemory, reviveGuard, runsStill, signalGuard } from './reach-guard';
import { sideBySide } from './side-by-side';

/** A pause that holds a run back, and of what. */
export interface StandingPause extends Pause {
  target: string;
}

const MAX_WOKEN = 5_000;

/** Talks to guards. Asking twice is safe: the guard knows a run that already waits or holds. */
export function createGuardActivities({ config, client }: ActivityDeps) {
  const { taskQueue } = config.temporal;
  const tell = (target: string, signal: string, argument: unknown) =>
    signalGuard(need(client), taskQueue, target, signal, argument);
  const askAtOnce = createAsking();
  const ask = <T>({ workflowId, signal, argument }: Letter) =>
    askAtOnce<T>(need(client), workflowId, signal, argument);

  /**
   * One look at its own shard and at any other, which keeps a few busy services from waiting beside places that are free.
   * It waits at neither: a place that comes while it looks at the next one would be a second one.
   */
  async function lookAround(wish: PlaceRequest): Promise<AdmissionNotice | undefined> {
    const { shard, limits } = wish;
    const look = (where: number) =>
      ask<Letter | null>({
        workflowId: placesId(where),
        signal: 'want',
        argument: { ...wish, glance: true },
      });
    const own = await look(shard);
    if (own !== null) return own?.argument as AdmissionNotice | undefined;
    const other = (shard + 1 + Math.floor(Math.random() * (limits.shards - 1))) % limits.shards;
    const answer = await look(other);
    // It may have given one all the same, and offers it to where the run is going to wait.
    const argument: PlaceRequest = { ...wish, passedBy: shard };
    if (answer === undefined)
      await postLetters(need(client), taskQueue, [{ workflowId: placesId(other), signal: 'want', argument }]);
    return answer?.argument as AdmissionNotice | undefined;
  }

  return {
    /** Asks the guard of a target for its lease, starting the guard where there is none. */
    async askGuard({ target, ...request }: LeaseRequest & { target: string }): Promise<void> {
      await tell(target, 'request', request);
    },

    /**
     * Asks the guard of a service, and then the places of all services, whether a run that nobody started may go ahead. Returns
     * their answer where they have one at once; otherwise it comes as a signal. `waits` says that it was asked before.
     */
    async seekAdmission({
      target,
      waits,
      ...argument
    }: Admission & { target: string; waits?: boolean }): Promise<AdmissionNotice | undefined> {
      const answer = await ask<Letter | null>({ workflowId: guardId(target), signal: 'admit', argument });
      if (answer === undefined) await tell(target, 'admit', argument);
      if (answer?.signal !== 'want') return answer?.argument as AdmissionNotice | undefined;
      const wish = answer.argument as PlaceRequest;
      const found = waits === true || wish.limits.shards < 2 ? undefined : await lookAround(wish);
      if (found !== undefined) return found;
      const placed = await ask<Letter | null>(answer);
      if (placed === undefined) await postLetters(need(client), taskQueue, [answer]);
      return placed?.argument as AdmissionNotice | undefined;
    },

    /** Gives back what a run was given, and says what came of it. */
    async leaveGuards({ service, shards, rests, outcome, runbook, ...run }: Leaving): Promise<void> {
      const letters: Letter[] = [
        rests
          ? { workflowId: guardId(service), signal: 'rest', argument: run }
          : { workflowId: guardId(service), signal: 'ended', argument: { ...run, runbook, outcome } },
        ...shards.map((shard) => ({ workflowId: placesId(shard), signal: 'free', argument: run })),
      ];
      await sideBySide(letters, async (letter) => {
        if ((await ask<Letter | null>(letter)) !== undefined) return;
        // A guard that is gone is started again: what it would have held against the runbook must not go with it.
        if (letter.workflowId === guardId(service)) await tell(service, letter.signal, letter.argument);
        else await postLetters(need(client), taskQueue, [letter]);
      });
    },

    /** Tells the guard of a target what becomes of a lease, or of its words, also where it was terminated: its memory has both. */
    async tellGuard({
      target,
      signal,
      ...words
    }: (Release | Keep) & { target: string; signal: 'release' | 'keep' | 'told' }): Promise<void> {
      await tell(target, signal, words);
    },

    /** Sends signals of a guard; returns the runs that have ended. */
    async post(letters: Letter[]): Promise<Release[]> {
      return postLetters(need(client), taskQueue, letters);
    },

    /**
     * The pauses that cover any of these targets, read from the store: it answers also where the guard was terminated, or no
     * worker answers for it. A guard that is gone while it was paused is started again, before its memory can expire. Fails
     * while a guard has not had its first turn.
     */
    async readSwitch({ targets }: { targets: string[] }): Promise<StandingPause[]> {
      const covering = [...new Set(targets.flatMap(coveringTargets))];
      const found = await Promise.all(
        covering.map(async (target) => {
          const known = await readGuardMemory(need(client), target);
          if (known === undefined) return undefined;
          const { memory, runs } = known;
          // What is in its memo it heard; it may have been started with the very signal that pauses.
          if (runs && memory === undefined)
            throw fail(
              'GuardUnread',
              `guard/${target} runs, and has heard nothing yet: a pause may wait for it. Is a worker up that serves its task queue?`,
              { retryable: true },
            );
          const paused = memory?.paused ?? null;
          if (paused === null) return undefined;
          if (!runs) await reviveGuard(need(client), taskQueue, target);
          return { target, ...paused };
        }),
      );
      return found.filter((pause) => pause !== undefined);
    },

    /** Tells runs that wait because of a pause to look again. Best effort: they look by themselves from time to time. */
    async wakePaused({ target }: { target: string }): Promise<void> {
      const { waiting, service } = searchAttributes;
      const [name = ''] = target.split('/');
      const only = target === GUARD_ALL ? '' : ` AND ${service.name} = '${name.replaceAll("'", "''")}'`;
      const query = `${waiting.name} = 'paused' AND ExecutionStatus = 'Running'${only}`;
      const letters: Letter[] = [];
      for await (const { workflowId, runId } of need(client).workflow.list({ query }))
        if (letters.push({ workflowId, runId, signal: 'wake', argument: target }) >= MAX_WOKEN) break;
      await postLetters(need(client), taskQueue, letters);
    },

    /**
     * Tells the guard of everything that the automation of a service is in trouble. Returns why everything is paused
     * now, or null. Saying it twice is safe: services are counted, not reports.
     */
    async reportSick(report: SickReport): Promise<{ paused: string | null }> {
      await tell(GUARD_ALL, 'sick', report);
      const { paused } = await need(client).workflow.getHandle(guardId(GUARD_ALL)).query<GuardState>('state');
      return { paused: paused?.by === 'breaker' ? paused.reason : null };
    },

    /** Those of these very runs that have ended, or are not known any more. Reads only. */
    async findEnded({ runs }: { runs: Release[] }): Promise<Release[]> {
      const ended: Release[] = [];
      await sideBySide(runs, async ({ workflowId, runId }) => {
        if (!(await runsStill(need(client), workflowId, runId))) ended.push({ workflowId, runId });
      });
      return ended;
    },
  };
}

function need(client: Client | undefined): Client {
  if (client === undefined)
    throw fail('InvalidInput', 'these activities were created without a Temporal client');
  return client;
}

import { createHash } from 'node:crypto';
import type { Fence, Place } from '../../contract/place';
import { targetOf } from '../../contract/place';
import { runFencedChange } from '../postgres/session/fenced-change';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { withProgress } from '../support/heartbeat';
import { problemOf } from '../support/http';
import { performOperation } from '../support/operation/perform';
import { savingOf } from './settings';

/** An owner of drafts, and how many of them were salvaged. */
export interface Owner {
  owner: string;
  drafts: number;
}

/** What is done about saves from outside. */
export function createSavingActivities(deps: ActivityDeps) {
  const needed = (place: Place, what: string): Error =>
    fail('InvalidInput', `drafts.${what} of ${targetOf(place)} is missing in runbooks.yaml.`);
  return {
    /**
     * Keeps edits where they are made, or lets them be saved again. A retry does it again, which whoever configures it makes
     * harmless. Throws InvalidInput, StaleFencingToken, FenceBusy, CommandFailed, HttpFailed.
     */
    async switchLocalOnly(input: Place & { to: 'on' | 'off'; fence: Fence }): Promise<CommandResult> {
      const localOnly = savingOf(deps, input)?.localOnly;
      if (localOnly === undefined) throw needed(input, 'localOnly');
      return runFencedChange(deps, input, localOnly[input.to], `localOnly.${input.to}`);
    },

    /** Saves a draft of its own, as people do. That it fails is an answer. Throws InvalidInput. */
    async probeSave(place: Place): Promise<{ ok: boolean; detail: string }> {
      const probe = savingOf(deps, place)?.probe;
      if (probe === undefined) throw needed(place, 'probe');
      const { service, environment } = place;
      try {
        const { detail } = await performOperation(probe, {
          action: `save a draft of ${targetOf(place)}`,
          parameters: { service, environment },
          directory: deps.config.directory,
        });
        return { ok: true, detail };
      } catch (error) {
        return { ok: false, detail: problemOf(error) };
      }
    },

    /**
     * Tells each owner; of those who could not be told it says who. The key is the same for every attempt of a run. Throws
     * InvalidInput.
     */
    async informOwners({
      owners,
      run,
      ...place
    }: Place & { owners: Owner[]; run: string }): Promise<{ told: number; untold: Owner[]; why: string }> {
      const inform = savingOf(deps, place)?.inform;
      if (inform === undefined) throw needed(place, 'inform');
      const { service, environment } = place;
      const untold: Owner[] = [];
      let why = '';
      await withProgress(
        { phase: 'tell owners', done: 0, total: owners.length, unit: 'rows' },
        async (report) => {
          for (const [index, { owner, drafts }] of owners.entries()) {
            const key = createHash('sha256')
              .update(JSON.stringify([service, environment, owner, run]))
              .digest('hex');
            try {
              await performOperation(inform, {
                action: `tell owner ${owner} of ${targetOf(place)}`,
                parameters: { service, environment, owner, drafts, key },
                directory: deps.config.directory,
              });
            } catch (error) {
              untold.push({ owner, drafts });
              why = problemOf(error);
            }
            report({ done: index + 1 });
          }
        },
      );
      return { told: owners.length - untold.length, untold, why };
    },
  };
}

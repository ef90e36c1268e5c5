import { inBatches, type Repaired, type RepairInput } from '../postgres/repair/batches';
import { changedBefore } from '../postgres/repair/change-log';
import { checkSelection } from '../postgres/repair/selection';
import { undoAudited } from '../postgres/repair/undo-audited';
import type { ActivityDeps } from '../support/deps';
import { draftsOf } from './settings';
import { attemptsOf, salvageBatch, type Item, type Salvage } from './store';
import { changedTables, readDraftTables, type DraftTables } from './tables';

export interface SalvageInput extends RepairInput {
  /** Of the change log. */
  step: string;
  salvages: Salvage[];
}

/** Brings back what was written and not stored, and takes that back. Nothing of it ever leaves the database. */
export function createSalvageActivities(deps: ActivityDeps) {
  return {
    /**
     * Stores exactly the named attempts where the draft still has the version that was looked at, and says so in the
     * journal in the same transaction. Safe to retry. Throws EmptySelection, TooManyTargets, CopyRefused,
     * StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async salvageDrafts(input: SalvageInput): Promise<Repaired> {
      const config = draftsOf(deps, input.service);
      checkSelection(input, {
        count: input.salvages.length,
        one: 'draft',
        many: 'drafts',
        become: 'changed',
        most: config.maxDrafts,
        limit: 'drafts.maxDrafts allows',
      });
      const { step, run } = input;
      const log = { run, step };
      let tables: DraftTables;
      return inBatches<Item>(
        deps,
        input,
        { role: config.role, batchRows: config.batchRows, action: 'salvage drafts', step },
        async (client) => {
          tables = await readDraftTables(client, input.service, config);
          const before = await changedBefore(client, log, tables.attempts);
          const items = input.salvages
            .filter((one) => !attemptsOf(one).some((id) => before.has(id)))
            .map((one) => ({ ...one, unit: `draft ${one.draft}` }));
          return { items, weigh: () => 1, doneBefore: input.salvages.length - items.length };
        },
        (client, items) => salvageBatch(client, { log, tables, config }, items),
      );
    },

    /**
     * Puts drafts and journal back as they were before that step; what somebody has changed since is left alone and named.
     * Safe to retry. Throws StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async undoDraftSalvage({ step, ...input }: RepairInput & { step: string }): Promise<Repaired> {
      const config = draftsOf(deps, input.service);
      const { role, batchRows, audit } = config;
      return undoAudited(
        deps,
        input,
        { role, batchRows, action: 'put drafts back' },
        {
          step,
          read: async (client) => {
            const tables = await readDraftTables(client, input.service, config);
            return { changed: changedTables(tables), entities: tables.drafts, trail: tables.audit };
          },
          as: { ...audit, action: audit.restored },
        },
      );
    },
  };
}

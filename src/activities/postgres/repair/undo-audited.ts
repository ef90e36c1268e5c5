import type { Client } from 'pg';
import { databaseIn } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { appendAudit, type AuditTable, type AuditWords } from './audit-trail';
import type { Batching, Repaired, RepairInput } from './batches';
import type { MappedTable } from './mapping';
import { canPassTriggers, undoRows } from './undo';

export interface AuditedUndo {
  /** Of the change log: what that step of the run did. */
  step: string;
  read: (client: Client) => Promise<{
    /** Every table that the step may have changed. */
    changed: MappedTable[];
    /** Of which the audit trail tells. */
    entities: MappedTable;
    trail: AuditTable | undefined;
  }>;
  as: AuditWords;
}

/** `undoRows`, past the triggers of the application where our role may, and written down: the audit trail only grows. */
export async function undoAudited(
  deps: ActivityDeps,
  input: RepairInput,
  batching: Omit<Batching, 'step' | 'undoes' | 'withoutTriggers'>,
  { step, read, as }: AuditedUndo,
): Promise<Repaired> {
  const withoutTriggers = await withClient(deps, databaseIn(input), canPassTriggers, {
    readOnly: true,
    action: 'look at our rights',
  });
  let known: Awaited<ReturnType<typeof read>>;
  return undoRows(
    deps,
    input,
    { ...batching, withoutTriggers },
    {
      step,
      tables: async (client) => {
        known = await read(client);
        return known.changed;
      },
      afterwards: async (client, units) => {
        const { rows } = await client.query<{ entity: string }>(
          `SELECT key AS entity FROM durable_runbooks.change_log
            WHERE run = $1 AND step = $2 AND relation = $3 AND unit = ANY($4) AND before <> after`,
          [input.run, step, known.entities.name, units],
        );
        const details = { reason: 'undone', step, run: input.run };
        await appendAudit(
          client,
          known.trail,
          as,
          rows.map(({ entity }) => ({ entity, details })),
        );
      },
    },
  );
}

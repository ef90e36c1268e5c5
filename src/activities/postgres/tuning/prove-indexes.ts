import type { Client } from 'pg';
import type {
  IndexChange,
  IndexProof,
  KnownStatement,
  PlannedCost,
  ProvenChange,
} from '../../../contract/tuning';
import { countOf, percent } from '../../../contract/text';
import { inTransaction } from '../session/transaction';
import { plannedCosts, type Costs } from './planned-costs';

export interface ToProve {
  changes: IndexChange[];
  witnesses: KnownStatement[];
  settings: { minGain: number; maxLoss: number };
  planner: Record<string, string>;
}

/**
 * Makes the changes on a copy one after the other and looks at the plans each time; one that does not help enough, or
 * harms another statement, is taken back before the next one is tried. What is needless goes without a verdict, so that no
 * plan relies on it. All of it in a transaction that is rolled back.
 */
export async function proveIndexes(
  client: Client,
  { changes, witnesses, settings, planner }: ToProve,
  report: (done: number) => void,
): Promise<IndexProof> {
  const startedAt = Date.now();
  const proven: ProvenChange[] = [];
  const unplanned = new Set<string>();
  const never = new Error('the copy stays as it was');
  await inTransaction(client, async () => {
    for (const [name, value] of Object.entries(planner))
      await client.query('SELECT set_config($1, $2, true)', [name, value]).catch(() => undefined);
    for (const table of new Set(changes.map((one) => one.table))) await client.query(`ANALYZE ${table}`);
    for (const [index, change] of changes.entries()) {
      if (change.needless === true) {
        // An invalid one is not on a copy.
        await client.query(`DROP INDEX IF EXISTS ${change.index}`);
        report(index + 1);
        continue;
      }
      const concerned = witnesses.filter(({ tables }) => tables.includes(change.table));
      await client.query('SAVEPOINT change');
      const before = await plannedCosts(client, concerned);
      before.unplanned.forEach((one) => unplanned.add(one));
      const verdict = await tryChange(client, change, concerned, before, settings);
      if (!verdict.ok) await client.query('ROLLBACK TO SAVEPOINT change');
      await client.query('RELEASE SAVEPOINT change');
      proven.push({ index: change.index, ...verdict });
      report(index + 1);
    }
    throw never;
  }).catch((error: unknown) => {
    if (error !== never) throw error;
  });
  return { proven, unplanned: [...unplanned], durationMs: Date.now() - startedAt };
}

async function tryChange(
  client: Client,
  change: IndexChange,
  concerned: KnownStatement[],
  before: Costs,
  settings: ToProve['settings'],
): Promise<{ ok: boolean; detail: string }> {
  try {
    await client.query(change.kind === 'create' ? change.definition : `DROP INDEX ${change.index}`);
  } catch (error) {
    if ((error as { code?: string }).code === '57014') throw error;
    return { ok: false, detail: `not possible: ${(error as Error).message}` };
  }
  const after = await plannedCosts(client, concerned);
  const [unknown] = [...before.unplanned, ...after.unplanned];
  // What is new cannot be needed; what goes may be needed by exactly that one.
  if (change.kind === 'drop' && unknown !== undefined)
    return { ok: false, detail: `a statement of its table could not be planned: ${unknown}` };
  return judgeCosts(change, before.costs, after.costs, settings);
}

/** Whether a change helps what it is meant for, and harms nothing else that is known. */
export function judgeCosts(
  change: Pick<IndexChange, 'kind' | 'helps' | 'needless'>,
  before: PlannedCost[],
  after: PlannedCost[],
  { minGain, maxLoss }: ToProve['settings'],
): { ok: boolean; detail: string } {
  const pairs = before.flatMap(({ id, cost }) => {
    const now = after.find((one) => one.id === id)?.cost;
    return now === undefined ? [] : [{ id, before: cost, after: now }];
  });
  const worse = pairs.find((one) => one.after > one.before * (1 + maxLoss));
  if (worse !== undefined)
    return { ok: false, detail: `statement ${worse.id} would cost more: ${text(worse)}` };
  if (change.kind === 'drop')
    return {
      ok: true,
      detail:
        pairs.length === 0
          ? 'no statement of its table is known'
          : `none of ${countOf(pairs.length, 'known statement')} of its table would cost more`,
    };
  const helped = pairs.filter(({ id }) => change.helps.includes(id));
  if (helped.length === 0)
    return { ok: false, detail: 'none of the statements that it is meant for could be planned' };
  const best = helped.reduce((a, b) => (gain(b) > gain(a) ? b : a));
  const saved = `statement ${best.id} ${text(best)}`;
  return gain(best) >= minGain
    ? { ok: true, detail: saved }
    : { ok: false, detail: `it does not save ${percent(minGain, 0)} of any: ${saved}` };
}

interface Pair {
  before: number;
  after: number;
}

const gain = ({ before, after }: Pair): number => (before > 0 ? 1 - after / before : 0);
const text = ({ before, after }: Pair): string =>
  `from a cost of ${Math.round(before)} to ${Math.round(after)}`;

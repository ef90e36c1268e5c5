import type { Client } from 'pg';
import {
  blocksOf,
  isUnpredicted,
  STOPPING_MODES,
  strongest,
  type Blocks,
  type MeasuredLock,
} from '../../../contract/locks';
import { onTablesOfOthers, ownLocks, predictedLocks } from './locked-relations';
import type { TableLock } from './table-locks';

type Taken = Omit<MeasuredLock, 'heldMs'> & { since: number };

/** In a result, and so in the history. */
const MAX_LOCKS = 20;

/**
 * The locks that one transaction takes, statement by statement: what was predicted right before, and what PostgreSQL says
 * right after. A lock counts for the statement that took it first.
 */
export class LockRecord {
  private readonly known = new Set<string>();
  private readonly held = new Map<string, Blocks>();
  private readonly taken: Taken[] = [];

  constructor(
    private readonly client: Client,
    private readonly other: Client,
  ) {}

  predict(locks: TableLock[]): Promise<Map<string, Blocks>> {
    return predictedLocks(this.client, locks);
  }

  /** Returns whether the transaction holds anything now that stops others. */
  async look(
    { line, since }: { line: number; since: number },
    predicted: Map<string, Blocks>,
  ): Promise<boolean> {
    const fresh = (await ownLocks(this.client)).filter(({ oid, mode }) => !this.known.has(`${oid} ${mode}`));
    for (const { oid, mode } of fresh) this.known.add(`${oid} ${mode}`);
    const found = await onTablesOfOthers(this.other, fresh);
    const modes = new Map<string, { table: string; mode: string }>();
    for (const { oid, table, mode } of found) {
      const before = modes.get(oid)?.mode ?? null;
      if (STOPPING_MODES.indexOf(mode) > STOPPING_MODES.indexOf(before ?? ''))
        modes.set(oid, { table, mode });
    }
    for (const [oid, { table, mode }] of modes) {
      this.held.set(oid, strongest(blocksOf(mode), this.held.get(oid) ?? 'nothing'));
      this.taken.push({ line, table, mode, predicted: predicted.get(oid) ?? 'nothing', since });
    }
    await this.noteMissing(line, predicted);
    return this.held.size > 0;
  }

  private async noteMissing(line: number, predicted: Map<string, Blocks>): Promise<void> {
    const missing = [...predicted].filter(([oid]) => !this.held.has(oid));
    const named = await onTablesOfOthers(
      this.other,
      missing.map(([oid, blocks]) => ({ oid, mode: blocks })),
    );
    for (const { table, mode } of named)
      this.taken.push({ line, table, mode: null, predicted: mode as Blocks, since: 0 });
  }

  /** When the transaction ends: the most telling ones. */
  measured(): MeasuredLock[] {
    const now = Date.now();
    return this.taken
      .map(({ since, ...lock }) => ({ ...lock, heldMs: since === 0 ? 0 : now - since }))
      .sort((a, b) => Number(isUnpredicted(b)) - Number(isUnpredicted(a)) || b.heldMs - a.heldMs)
      .slice(0, MAX_LOCKS);
  }
}

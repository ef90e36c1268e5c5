import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { databaseIn, type Fence, type Place } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { sqlStateOf } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { withClient } from '../session/connection';
import { underFence } from '../session/fence';
import { closeStep, refuseClosed } from './change-log';
import { ensureChangeLog } from './role';

/** What every repair is told. */
export interface RepairInput extends Place {
  /** First execution run ID of the workflow: what it has done is known by it, also after a reset. */
  run: string;
  fence: Fence;
}

export interface Batching {
  /** Repairs as this role; our own where there is none. */
  role: string | undefined;
  batchRows: number;
  action: string;
  /** Of the change log. */
  step: string;
  /** Takes the step back, after which nothing is added to it. */
  undoes?: boolean;
  /** Past the triggers of the application: for putting rows back as they were. */
  withoutTriggers?: boolean;
  /** Although the database was made read-only: for the run that did so. */
  evenReadOnly?: boolean;
}

/** What came of one batch. */
export interface BatchResult<Item> {
  done: number;
  /** Left alone for good, and why. */
  left: LeftAlone[];
  /** Locked by somebody else at this moment. */
  later: Item[];
}

/** A row, or rows that belong together, that a repair did not touch. */
export interface LeftAlone {
  unit: string;
  why: string;
}

export interface Repaired {
  done: number;
  left: LeftAlone[];
}

/** For tables, which somebody may have locked; of rows nobody is waited for at all. */
const TABLE_LOCK_TIMEOUT_MS = 200;
const STATEMENT_TIMEOUT_MS = 60_000;
/** How long rows that others have locked are looked at again. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 100;
const MAX_PAUSE_MS = 2_000;
/** Locked or deadlocked: nothing of that batch was done. */
const COLLISIONS = ['55P03', '40P01', '40001'];

/**
 * Changes rows in batches: each is one transaction under the fence, with what it changed in the change log. Rows that
 * somebody has locked are passed over (SKIP LOCKED in `change`) and looked at again in a later round: whoever has them is
 * changing them right now, and to wait would make all others wait for the rows that the batch holds already. What is
 * still locked in the end is left alone.
 *
 * Safe to repeat: `prepare` leaves out what the change log has of this run. It reads that under the fence, so a COMMIT that
 * is still on its way has come to its end before.
 */
export async function inBatches<Item extends { unit: string }>(
  deps: ActivityDeps,
  input: RepairInput,
  batching: Batching,
  prepare: (client: Client) => Promise<{ items: Item[]; weigh: (item: Item) => number; doneBefore: number }>,
  change: (client: Client, items: Item[]) => Promise<BatchResult<Item>>,
): Promise<Repaired> {
  const { role, action } = batching;
  const options = {
    identity: true,
    allRows: true,
    ...(batching.evenReadOnly === true ? { evenReadOnly: true } : {}),
    lockTimeoutMs: TABLE_LOCK_TIMEOUT_MS,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    action,
  };
  return withProgress({ phase: action, done: 0, total: 0, unit: 'rows' }, (report) =>
    withClient(
      deps,
      databaseIn(input),
      async (client) => {
        await ensureChangeLog(client, role);
        const { items, weigh, doneBefore } = await underFence(client, input.fence, async () => {
          if (batching.undoes === true) await closeStep(client, { run: input.run, step: batching.step });
          return prepare(client);
        });
        let done = doneBefore;
        report({ done, total: done + items.length });
        const result = await inRounds(items, weigh, batching.batchRows, async (batch) => {
          const one = await oneBatch(client, input, batching, batch, change);
          done += one.done;
          report({ done });
          return one;
        });
        return { done, left: result };
      },
      options,
    ),
  );
}

async function inRounds<Item extends { unit: string }>(
  items: Item[],
  weigh: (item: Item) => number,
  batchRows: number,
  work: (batch: Item[]) => Promise<BatchResult<Item>>,
): Promise<LeftAlone[]> {
  const left: LeftAlone[] = [];
  let until: number | undefined;
  let pauseMs = PAUSE_MS;
  let size = batchRows;
  for (let pending = items; ;) {
    const later: Item[] = [];
    for (const batch of batchesOf(pending, weigh, size)) {
      const result = await work(batch);
      left.push(...result.left);
      later.push(...result.later);
    }
    if (later.length === 0) return left;
    if (until !== undefined && Date.now() >= until)
      return [...left, ...later.map(({ unit }) => ({ unit, why: 'somebody else has it locked' }))];
    // The first round may take long by itself, and whoever only shared a batch with a locked row gets another one.
    until ??= Date.now() + PATIENCE_MS;
    pending = later;
    // One row that collides must not keep its whole batch back.
    size = Math.max(1, Math.floor(size / 4));
    await sleep(pauseMs * (1 + Math.random()), undefined, { signal: currentActivity().signal });
    pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2);
  }
}

/** Neighbours together, none larger than it may be unless one item alone is. */
export function batchesOf<Item>(items: Item[], weigh: (item: Item) => number, max: number): Item[][] {
  const batches: Item[][] = [];
  let weight = max;
  for (const item of items) {
    const own = weigh(item);
    if (weight + own > max) [weight] = [0, batches.push([])];
    weight += own;
    batches.at(-1)!.push(item);
  }
  return batches;
}

async function oneBatch<Item>(
  client: Client,
  { run, fence }: RepairInput,
  { role, step, undoes = false, withoutTriggers = false }: Batching,
  batch: Item[],
  change: (client: Client, items: Item[]) => Promise<BatchResult<Item>>,
): Promise<BatchResult<Item>> {
  try {
    return await underFence(client, fence, async () => {
      if (!undoes) await refuseClosed(client, { run, step });
      await settle(client, role, withoutTriggers);
      return change(client, batch);
    });
  } catch (error) {
    if (!COLLISIONS.includes(sqlStateOf(error) ?? '')) throw error;
    return { done: 0, left: [], later: batch };
  }
}

/** To the end of the transaction: images of rows must read the same whoever takes them, and the role comes last. */
async function settle(client: Client, role: string | undefined, withoutTriggers: boolean): Promise<void> {
  await client.query(
    `SELECT set_config('timezone', 'UTC', true), set_config('intervalstyle', 'postgres', true),
            set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true),
            CASE WHEN $1 THEN set_config('session_replication_role', 'replica', true) END,
            CASE WHEN $2::text IS NOT NULL THEN set_config('role', $2, true) END`,
    [withoutTriggers, role ?? null],
  );
}

/** What the role of the repair may not see. */
export async function asOurselves<T>(
  client: Client,
  role: string | undefined,
  body: () => Promise<T>,
): Promise<T> {
  if (role === undefined) return body();
  await client.query('RESET ROLE');
  const result = await body();
  await client.query(`SELECT set_config('role', $1, true)`, [role]);
  return result;
}

/** For the rest of the transaction. Only our own role may do that. */
export async function passTriggersNoMore(
  client: Client,
  { role, withoutTriggers = false }: Pick<Batching, 'role' | 'withoutTriggers'>,
): Promise<void> {
  if (!withoutTriggers) return;
  await client.query('RESET ROLE');
  await client.query('SET LOCAL session_replication_role TO DEFAULT');
  if (role !== undefined) await client.query(`SELECT set_config('role', $1, true)`, [role]);
}

import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import { SUBSCRIPTIONS_STEP } from '../../../contract/payments';
import { appendAudit } from '../../postgres/repair/audit-trail';
import {
  inBatches,
  type BatchResult,
  type LeftAlone,
  type Repaired,
  type RepairInput,
} from '../../postgres/repair/batches';
import { changedBefore, changeRows, withImages, type LogEntry } from '../../postgres/repair/change-log';
import { lockRows } from '../../postgres/repair/lock-rows';
import { instantParameter, valueParameter } from '../../postgres/repair/mapping';
import { checkSelection } from '../../postgres/repair/selection';
import { undoAudited } from '../../postgres/repair/undo-audited';
import type { ActivityDeps } from '../../support/deps';
import { askStripe, requireMode } from './client';
import { readStripeTables, type StripeTables } from './records';
import { stripeTablesOf, type StripeConfig } from './settings';
import { COMPARED, truthOf, type Drift } from './subscriptions';

export interface CorrectSubscriptionsInput extends RepairInput {
  /** Those of the plan, and no others. */
  drifts: Drift[];
}

type Item = Drift & { unit: string };

/** Makes rows of subscriptions say what Stripe says, and back again. Stripe is never written. */
export function createSubscriptionCorrections(deps: ActivityDeps) {
  return {
    /**
     * Gives exactly the named rows what Stripe says of them, and writes it down in the same transaction. Stripe is asked once
     * more before: one of which it says something else by now is left alone, and so is a row that was changed since it was
     * looked at. Safe to retry. Throws EmptySelection, TooManyTargets, StaleFencingToken, FenceBusy, HttpFailed, MappingInvalid.
     */
    async correctSubscriptions(input: CorrectSubscriptionsInput): Promise<Repaired> {
      const config = stripeTablesOf(deps, input.service);
      checkSelection(input, {
        count: input.drifts.length,
        one: 'subscription',
        many: 'subscriptions',
        become: 'changed',
        most: serviceOf(deps.config, input.service).maxDestructive,
        limit: 'maxDestructive allows',
      });
      const moved = await movedSince(deps, input, config);
      const log = { run: input.run, step: SUBSCRIPTIONS_STEP };
      const { role, batchRows } = config;
      let tables: StripeTables;
      let before = new Set<string>();
      const repaired = await inBatches<Item>(
        deps,
        input,
        { role, batchRows, action: 'correct subscriptions', step: SUBSCRIPTIONS_STEP },
        async (client) => {
          tables = await readStripeTables(client, input.service, config);
          before = await changedBefore(client, log, tables.subscriptions!);
          const items = input.drifts
            .filter(({ id }) => !before.has(id) && !moved.has(id))
            .map((drift) => ({ ...drift, unit: unitOf(drift) }));
          return { items, weigh: () => 1, doneBefore: before.size };
        },
        (client, items) => correctBatch(client, { log, tables, config }, items),
      );
      const leftAlone = [...moved].flatMap(([id, why]) => (before.has(id) ? [] : [why]));
      return { ...repaired, left: [...leftAlone, ...repaired.left] };
    },

    /**
     * Gives the rows back what they said before this run, and writes that down. What somebody has changed since is left
     * alone and named. Safe to retry. Throws StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async undoSubscriptionCorrection(input: RepairInput): Promise<Repaired> {
      const config = stripeTablesOf(deps, input.service);
      const { role, batchRows, audit } = config;
      return undoAudited(
        deps,
        input,
        { role, batchRows, action: 'put subscriptions back' },
        {
          step: SUBSCRIPTIONS_STEP,
          read: async (client) => {
            const { subscriptions, audit: trail } = await readStripeTables(client, input.service, config);
            return { changed: [subscriptions!], entities: subscriptions!, trail };
          },
          as: { ...audit, action: audit.restored },
        },
      );
    },
  };
}

const unitOf = ({ id }: Drift) => `subscription ${id}`;

/** Of which Stripe says something else than when the plan was made, by the key of the row. */
async function movedSince(
  deps: ActivityDeps,
  { drifts, service, environment }: CorrectSubscriptionsInput,
  config: StripeConfig,
): Promise<Map<string, LeftAlone>> {
  const moved = new Map<string, LeftAlone>();
  await askStripe(deps, { service, environment }, 'read the subscriptions again', async (asking) => {
    for (const drift of drifts) {
      const one = await asking.stripe.subscriptions.retrieve(drift.reference);
      requireMode(one, asking.config);
      const truth = truthOf(one, config);
      const holds = COMPARED.every(
        (name) => drift.changes[name] === undefined || drift.changes[name].to === truth[name],
      );
      if (!holds)
        moved.set(drift.id, { unit: unitOf(drift), why: 'Stripe says something else of it by now' });
    }
  });
  return moved;
}

interface Correction {
  log: LogEntry;
  tables: StripeTables;
  config: StripeConfig;
}

async function correctBatch(
  client: Client,
  { log, tables, config }: Correction,
  items: Item[],
): Promise<BatchResult<Item>> {
  const table = tables.subscriptions!;
  const { got, locked } = await lockRows(client, table, {
    keys: items.map(({ id }) => id),
    strength: 'NO KEY UPDATE',
  });
  const later = items.filter(({ id }) => locked.has(id));
  const good = items.filter(({ id, version }) => got.get(id) === version);
  const left = items
    .filter((item) => !later.includes(item) && !good.includes(item))
    .map(({ id, unit }) => ({
      unit,
      why: `it ${got.has(id) ? 'was changed' : 'is gone'} since it was looked at`,
    }));
  const rowOf = ({ id, unit }: Item) => ({ key: id, unit });
  const done = await withImages(client, log, [{ table, rows: good.map(rowOf) }], async () => {
    let changed = 0;
    for (const item of good) changed += await correctRow(client, table, item);
    return changed;
  });
  await appendAudit(
    client,
    tables.audit,
    { ...config.audit, action: config.audit.corrected },
    good.map(({ id, reference, changes }) => ({
      entity: id,
      details: {
        stripe: reference,
        ...Object.fromEntries(
          Object.entries(changes).map(([name, { from, to }]) => [name, `${from ?? 'nothing'} -> ${to}`]),
        ),
        run: log.run,
      },
    })),
  );
  return { done, left, later };
}

async function correctRow(
  client: Client,
  table: NonNullable<StripeTables['subscriptions']>,
  { id, unit, changes }: Item,
): Promise<number> {
  const wanted = COMPARED.flatMap((name) =>
    changes[name] === undefined ? [] : [{ name, to: changes[name].to }],
  );
  const set = wanted.map(({ name }, index) => {
    const column = table.columns[name]!;
    const value =
      name === 'periodEnd' ? instantParameter(index + 2, column) : valueParameter(index + 2, column);
    return `${column.name} = ${value}`;
  });
  const { updatedAt } = table.columns;
  if (updatedAt !== undefined) set.push(`${updatedAt.name} = now()`);
  return changeRows(
    client,
    table,
    [{ key: id, unit }],
    set.join(', '),
    wanted.map(({ to }) => to),
  );
}

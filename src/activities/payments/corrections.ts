import type { Client } from 'pg';
import { serviceOf } from '../../config/load';
import type { PaymentState } from '../../contract/payments';
import { targetOf } from '../../contract/place';
import { appendAudit } from '../postgres/repair/audit-trail';
import { inBatches, type BatchResult, type Repaired, type RepairInput } from '../postgres/repair/batches';
import { changedBefore, changeRows, withImages, type LogEntry } from '../postgres/repair/change-log';
import { lockRows } from '../postgres/repair/lock-rows';
import { valueParameter } from '../postgres/repair/mapping';
import { checkSelection } from '../postgres/repair/selection';
import { undoAudited } from '../postgres/repair/undo-audited';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { paymentsOf, type PaymentsConfig } from './settings';
import { changedTables, readPaymentTables, type PaymentTables } from './tables';

/** A payment whose state becomes what its provider says. */
export interface Correction {
  payment: string;
  /** Of the row when it was looked at. */
  version: string;
  from: PaymentState;
  to: PaymentState;
  /** What the provider said, for the audit trail. */
  because: string;
}

export interface CorrectInput extends RepairInput {
  /** Of the change log. */
  step: string;
  corrections: Correction[];
}

type Item = Correction & { unit: string };

/** Puts the states of payments right, and back again. Nothing else is ever written but the audit trail. */
export function createCorrectionActivities(deps: ActivityDeps) {
  return {
    /**
     * Gives exactly the named payments the state that their provider says, where the application allows that transition,
     * and writes it down in the same transaction. A payment that was changed since it was looked at is left alone. Safe to
     * retry: what the change log has of this step is done. Throws EmptySelection, TooManyTargets, TransitionForbidden,
     * StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async correctPayments(input: CorrectInput): Promise<Repaired> {
      const config = paymentsOf(deps, input.service);
      checkCorrections(input, config, serviceOf(deps.config, input.service).maxDestructive);
      const { step, run } = input;
      const log = { run, step };
      let tables: PaymentTables;
      return inBatches(
        deps,
        input,
        { role: config.role, batchRows: config.maxPayments, action: 'correct payments', step },
        async (client) => {
          tables = await readPaymentTables(client, input.service, config);
          const before = await changedBefore(client, log, tables.payments);
          const items = input.corrections
            .filter(({ payment }) => !before.has(payment))
            .map((one) => ({ ...one, unit: `payment ${one.payment}` }));
          return { items, weigh: () => 1, doneBefore: before.size };
        },
        (client, items) => correctBatch(client, log, tables, config, items),
      );
    },

    /**
     * Takes back what a step of this run did to payments, and writes that down: the audit trail only grows. What somebody
     * has changed since is left alone and named. Safe to retry. Throws StaleFencingToken, FenceBusy, MappingInvalid.
     */
    async undoPaymentCorrection({ step, ...input }: RepairInput & { step: string }): Promise<Repaired> {
      const config = paymentsOf(deps, input.service);
      const { role, maxPayments: batchRows, audit } = config;
      return undoAudited(
        deps,
        input,
        { role, batchRows, action: 'put payments back' },
        {
          step,
          read: async (client) => {
            const tables = await readPaymentTables(client, input.service, config);
            return { changed: changedTables(tables), entities: tables.payments, trail: tables.audit };
          },
          as: { ...audit, action: audit.restored },
        },
      );
    },
  };
}

function checkCorrections(
  input: CorrectInput,
  { transitions }: PaymentsConfig,
  maxDestructive: number,
): void {
  const { corrections } = input;
  const where = targetOf(input);
  checkSelection(input, {
    count: corrections.length,
    one: 'payment',
    many: 'payments',
    become: 'changed',
    most: maxDestructive,
    limit: 'maxDestructive allows',
  });
  const forbidden = corrections.find(({ from, to }) => !transitions[from].includes(to));
  if (forbidden === undefined) return;
  const { payment, from, to } = forbidden;
  throw fail(
    'TransitionForbidden',
    `Payment ${payment} of ${where} may not go from ${from} to ${to}: services.${input.service}.payments.transitions does not allow it. Nothing was changed.`,
  );
}

async function correctBatch(
  client: Client,
  log: LogEntry,
  tables: PaymentTables,
  config: PaymentsConfig,
  items: Item[],
): Promise<BatchResult<Item>> {
  const { payments } = tables;
  const keys = items.map(({ payment }) => payment);
  const { got, locked } = await lockRows(client, payments, { keys, strength: 'NO KEY UPDATE' });
  const later = items.filter(({ payment }) => locked.has(payment));
  const good = items.filter(({ payment, version }) => got.get(payment) === version);
  const left = items
    .filter((item) => !later.includes(item) && !good.includes(item))
    .map(({ payment, unit }) => ({
      unit,
      why: `it ${got.has(payment) ? 'was changed' : 'is gone'} since it was looked at`,
    }));
  const rowOf = ({ payment, unit }: Item) => ({ key: payment, unit });
  const { status, updatedAt } = payments.columns;
  const touched = updatedAt === undefined ? '' : `, ${updatedAt.name} = now()`;
  const done = await withImages(client, log, [{ table: payments, rows: good.map(rowOf) }], async () => {
    let changed = 0;
    for (const to of new Set(good.map((item) => item.to))) {
      const rows = good.filter((item) => item.to === to).map(rowOf);
      const set = `${status.name} = ${valueParameter(2, status)}${touched}`;
      changed += await changeRows(client, payments, rows, set, [config.states[to]]);
    }
    return changed;
  });
  for (const refunded of [false, true]) {
    const { audit } = config;
    await appendAudit(
      client,
      tables.audit,
      { ...audit, action: refunded ? audit.refunded : audit.reconciled },
      good
        .filter(({ to }) => (to === 'refunded') === refunded)
        .map(({ payment, from, to, because }) => ({
          entity: payment,
          details: { from: config.states[from], to: config.states[to], because, run: log.run },
        })),
    );
  }
  return { done, left, later };
}

import type Stripe from 'stripe';
import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import { databaseIn, type Place } from '../../../contract/place';
import { instantText, type MappedColumn } from '../../postgres/repair/mapping';
import { triggersOnTheWayBack, unknownWords } from '../../postgres/repair/unconfigured';
import { highestFenceToken } from '../../postgres/session/bookkeeping';
import { withClient } from '../../postgres/session/connection';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import { askStripe, requireMode } from './client';
import { readStripeTables, type StripeTables } from './records';
import { stripeTablesOf, type StripeConfig } from './settings';

/** What a subscription is compared by; times are ISO, in whole seconds. */
export const COMPARED = ['status', 'customer', 'periodEnd'] as const;
export type Compared = (typeof COMPARED)[number];

export type Changes = Partial<Record<Compared, { from: string | null; to: string }>>;

/** A row that says something else than Stripe. */
export interface Drift {
  id: string;
  /** Of the row when it was looked at. */
  version: string;
  reference: string;
  changes: Changes;
}

export interface SubscriptionLook {
  configured: boolean;
  compared: number;
  drifts: Drift[];
  /** More than maxDestructive differ, so none is corrected. */
  tooMany: boolean;
  /** What only a person can put right. */
  findings: string[];
  /** For the plan. */
  warnings: string[];
  fenceToken: number;
}

/** As Stripe has it, in the words of the application. */
export type Truth = Record<Compared, string | null>;

interface SubscriptionRow extends Truth {
  id: string;
  version: string;
  reference: string;
}

const MAX_READ = 20_000;
const MAX_NAMED = 10;
/** Whoever has no row of these misses nothing. */
const OVER = ['canceled', 'incomplete_expired'];
const NONE: SubscriptionLook = {
  configured: false,
  compared: 0,
  drifts: [],
  tooMany: false,
  findings: [],
  warnings: [],
  fenceToken: 0,
};

/** Compares the subscriptions of the application with those of Stripe. */
export function createSubscriptionActivities(deps: ActivityDeps) {
  return {
    /**
     * Where the application says something else of a subscription than Stripe. Reads only. Throws InvalidInput,
     * ModeMismatch, HttpFailed, MappingInvalid, DatabaseUnreachable.
     */
    async compareSubscriptions(place: Place): Promise<SubscriptionLook> {
      const config = stripeTablesOf(deps, place.service);
      if (config.tables.subscriptions === undefined) return NONE;
      const { maxDestructive } = serviceOf(deps.config, place.service);
      const progress = { phase: 'read subscriptions', done: 0, total: 0, unit: 'rows' as const };
      return withProgress(progress, async (report) => {
        const truth = await askStripe(deps, place, 'read the subscriptions', async (asking) => {
          const found = new Map<string, Truth>();
          for await (const one of asking.stripe.subscriptions.list({ status: 'all', limit: 100 })) {
            requireMode(one, asking.config);
            if (found.size === MAX_READ) return { found, more: true };
            found.set(one.id, truthOf(one, config));
            report({ done: found.size });
          }
          return { found, more: false };
        });
        return withClient(
          deps,
          databaseIn(place),
          async (client) => {
            const tables = await readStripeTables(client, place.service, config);
            const rows = await readRows(client, tables);
            const judged = judge(rows, truth, { config, maxDestructive });
            return {
              ...judged,
              warnings: await warningsOf(client, tables, judged.drifts),
              fenceToken: await highestFenceToken(client),
            };
          },
          { identity: true, allRows: true, readOnly: true, action: 'read the subscriptions' },
        );
      });
    },
  };
}

/** What Stripe says of it. Newer versions of its API keep the period with the items. */
export function truthOf(subscription: Stripe.Subscription, { words }: StripeConfig): Truth {
  const { status, customer, items } = subscription;
  const own = (subscription as unknown as { current_period_end?: number }).current_period_end;
  const ends = items.data.map((item) => item.current_period_end).filter((end) => typeof end === 'number');
  const end = own ?? (ends.length === 0 ? undefined : Math.min(...ends));
  return {
    status: words[status] ?? status,
    customer: typeof customer === 'string' ? customer : customer.id,
    periodEnd: end === undefined ? null : new Date(end * 1_000).toISOString(),
  };
}

async function readRows(client: Client, { subscriptions }: StripeTables): Promise<SubscriptionRow[]> {
  const { name, columns } = subscriptions!;
  const { id, reference, status, customer, periodEnd } = columns;
  requireTimestamp(periodEnd);
  const { rows } = await client.query<SubscriptionRow>(
    `SELECT s.${id.name}::text AS id, s.xmin::text AS version, s.${reference.name}::text AS reference, s.${status.name}::text AS status,
            ${customer === undefined ? 'NULL' : `s.${customer.name}::text`} AS customer,
            ${periodEnd === undefined ? 'NULL' : instantText(periodEnd, 's')} AS "periodEnd"
       FROM ${name} s WHERE s.${reference.name} IS NOT NULL ORDER BY s.${id.name} LIMIT ${MAX_READ + 1}`,
  );
  return rows.map((row) => ({ ...row, periodEnd: wholeSeconds(row.periodEnd) }));
}

async function warningsOf(
  client: Client,
  { subscriptions }: StripeTables,
  drifts: Drift[],
): Promise<string[]> {
  if (drifts.length === 0) return [];
  const table = subscriptions!;
  const { status } = table.columns;
  const values = new Set(
    drifts.flatMap(({ changes }) => (changes.status === undefined ? [] : [changes.status.to])),
  );
  const words = [...values].map((value) => ({ table, status, value, path: 'stripe.words' }));
  return [...(await unknownWords(client, words)), ...(await triggersOnTheWayBack(client, [table]))];
}

function requireTimestamp(column: MappedColumn | undefined): void {
  if (column === undefined || column.type.startsWith('timestamp')) return;
  throw fail(
    'MappingInvalid',
    `stripe.tables.subscriptions.columns.periodEnd: ${column.name} is of type ${column.type}, and no timestamp. Nothing was changed; name another column, or none.`,
  );
}

function wholeSeconds(time: string | null): string | null {
  return time === null ? null : new Date(Math.floor(Date.parse(time) / 1_000) * 1_000).toISOString();
}

function judge(
  rows: SubscriptionRow[],
  { found, more }: { found: Map<string, Truth>; more: boolean },
  { config, maxDestructive }: { config: StripeConfig; maxDestructive: number },
): Omit<SubscriptionLook, 'warnings' | 'fenceToken'> {
  const byReference = new Map<string, SubscriptionRow[]>();
  for (const row of rows) byReference.set(row.reference, [...(byReference.get(row.reference) ?? []), row]);
  const whole = !more && rows.length <= MAX_READ;
  const doubled = [...byReference].flatMap(([reference, same]) => (same.length > 1 ? [reference] : []));
  const unknown = rows.filter(({ reference }) => !found.has(reference)).map(({ id }) => id);
  const absent = [...found].flatMap(([reference, { status }]) =>
    byReference.has(reference) || OVER.some((word) => (config.words[word] ?? word) === status)
      ? []
      : [reference],
  );
  const drifts = rows.flatMap((row) => {
    const truth = found.get(row.reference);
    if (truth === undefined || doubled.includes(row.reference)) return [];
    const changes = changesOf(row, truth, config);
    const { id, version, reference } = row;
    return Object.keys(changes).length === 0 ? [] : [{ id, version, reference, changes }];
  });
  const tooMany = drifts.length > maxDestructive;
  return {
    configured: true,
    compared: rows.filter(({ reference }) => found.has(reference)).length,
    drifts: tooMany ? [] : drifts,
    tooMany,
    findings: [
      ...(whole
        ? []
        : [
            `there are more subscriptions than are read (${MAX_READ}): only those that were read on both sides are compared`,
          ]),
      ...finding(doubled, 'in more than one row of the application, so none of them is corrected'),
      ...(whole ? finding(unknown, 'known to the application, and not to Stripe') : []),
      ...(whole ? finding(absent, 'known to Stripe, and not to the application') : []),
      ...(tooMany
        ? [
            `${drifts.length} subscriptions differ, more than maxDestructive allows (${maxDestructive}), so none is corrected: look first whether stripe.words is what the application calls their states`,
          ]
        : []),
    ],
  };
}

/** What the row would have to say. Only mapped columns are compared. */
export function changesOf(row: Truth, truth: Truth, { tables }: StripeConfig): Changes {
  const columns = tables.subscriptions!.columns;
  return Object.fromEntries(
    COMPARED.flatMap((name) => {
      const to = truth[name];
      const same = columns[name] === undefined || to === null || to === row[name];
      return same ? [] : [[name, { from: row[name], to }]];
    }),
  );
}

function finding(ids: string[], what: string): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > MAX_NAMED ? ` and ${ids.length - MAX_NAMED} more` : '';
  return [
    `${ids.length === 1 ? 'subscription' : `${ids.length} subscriptions`} ${ids.slice(0, MAX_NAMED).join(', ')}${more}: ${what}`,
  ];
}

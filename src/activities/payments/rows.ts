import type { Client } from 'pg';
import { PAYMENT_STATES, type PaymentState } from '../../contract/payments';
import { instantText, keysParameter, valueParameter } from '../postgres/repair/mapping';
import { fail, sqlStateOf } from '../support/failure';
import type { PaymentsConfig } from './settings';
import type { PaymentTables } from './tables';

/** Which booking is meant, from a ticket: by itself, by one of its payments, or by both. */
export interface Subject {
  booking?: string | undefined;
  payment?: string | undefined;
}

/** A payment as the application has it, when somebody looked. */
export interface PaymentRow {
  id: string;
  /** Of the row: another one when anybody has changed it since. */
  version: string;
  booking: string;
  provider: string;
  /** The provider's own key; null where the provider was never asked. */
  reference: string | null;
  /** What the application calls it, and what that means; null for a word that nobody has explained. */
  word: string;
  state: PaymentState | null;
  /** In the smallest unit of the currency; null where no column is configured. */
  amount: number | null;
  currency: string | null;
  /** ISO time. */
  createdAt: string | null;
  /** Whether it has the hash of a webhook; null where no column is configured. */
  hashed: boolean | null;
  /** Other payments with the same hash. */
  sameHash: string[];
  /** Other bookings that have a payment with the same key of the same provider. */
  sharedWith: string[];
}

/** What the audit trail says of payments, oldest first. */
export interface AuditEntry {
  payment: string;
  action: string;
  source: string | null;
}

const MAX_AUDIT = 100;
/** Texts that are no key of that column. */
const NO_KEY = ['22P02', '22003'];

/** All payments of the booking that is meant. Throws InvalidInput where there is none, and TooManyTargets. */
export async function readPayments(
  client: Client,
  tables: PaymentTables,
  config: PaymentsConfig,
  subject: Subject,
): Promise<PaymentRow[]> {
  const rows = await selectPayments(client, tables, config, subject).catch((error: unknown) => {
    if (!NO_KEY.includes(sqlStateOf(error) ?? '')) throw error;
    throw fail(
      'InvalidInput',
      `${named(subject)} is no key of ${tables.payments.name}. Correct it, then start again.`,
    );
  });
  const { booking, payment } = subject;
  const found = payment === undefined || rows.some(({ id }) => id === payment);
  if (rows.length === 0 || !found)
    throw fail(
      'InvalidInput',
      `${tables.payments.name} has no payment for ${named(subject)}. Correct it, then start again.`,
    );
  if (booking !== undefined && rows.some((row) => row.booking !== booking))
    throw fail(
      'InvalidInput',
      `Payment ${payment} is of booking ${rows[0]!.booking}, and not of ${booking}. Correct it, then start again.`,
    );
  if (rows.length > config.maxPayments)
    throw fail(
      'TooManyTargets',
      `Booking ${rows[0]!.booking} has more than ${config.maxPayments} payments, which maxPayments allows. Nothing was changed: look at what makes them first.`,
    );
  return rows;
}

function named({ booking, payment }: Subject): string {
  const both = [
    ...(booking === undefined ? [] : [`booking "${booking}"`]),
    ...(payment === undefined ? [] : [`payment "${payment}"`]),
  ];
  return both.join(' with ');
}

type FoundRow = Omit<PaymentRow, 'state' | 'amount' | 'currency'> & {
  amount: string | null;
  currency: string | null;
};

async function selectPayments(
  client: Client,
  { payments: { name, columns } }: PaymentTables,
  { states, maxPayments }: PaymentsConfig,
  { booking, payment }: Subject,
): Promise<PaymentRow[]> {
  const { id, amount, currency, webhookHash: hash } = columns;
  const text = (column: { name: string } | undefined) =>
    column === undefined ? 'NULL' : `p.${column.name}::text`;
  const one = `SELECT o.${columns.booking.name} FROM ${name} o WHERE o.${id.name} = ${valueParameter(1, id)}`;
  const wanted = payment === undefined ? valueParameter(1, columns.booking) : `(${one})`;
  const { rows } = await client.query<FoundRow>(
    `SELECT p.${id.name}::text AS id, p.xmin::text AS version, p.${columns.booking.name}::text AS booking,
            p.${columns.provider.name}::text AS provider, p.${columns.reference.name}::text AS reference,
            p.${columns.status.name}::text AS word, ${text(amount)} AS amount, ${text(currency)} AS currency,
            ${instantText(columns.createdAt, 'p')} AS "createdAt",
            ${hash === undefined ? 'NULL' : `p.${hash.name} IS NOT NULL`} AS hashed,
            ${hash === undefined ? `'{}'::text[]` : `ARRAY(SELECT s.${id.name}::text FROM ${name} s WHERE s.${hash.name} = p.${hash.name} AND s.${id.name} <> p.${id.name} ORDER BY 1 LIMIT 5)`} AS "sameHash",
            ARRAY(SELECT DISTINCT s.${columns.booking.name}::text FROM ${name} s
                   WHERE s.${columns.provider.name} = p.${columns.provider.name} AND s.${columns.reference.name} = p.${columns.reference.name}
                     AND s.${columns.booking.name} <> p.${columns.booking.name} ORDER BY 1 LIMIT 5) AS "sharedWith"
       FROM ${name} p WHERE p.${columns.booking.name} = ${wanted}
      ORDER BY p.${columns.createdAt.name} NULLS LAST, p.${id.name} LIMIT ${maxPayments + 1}`,
    [payment ?? booking],
  );
  return rows.map((row) => ({
    ...row,
    state: PAYMENT_STATES.find((state) => states[state] === row.word) ?? null,
    amount: amountOf(row),
    currency: row.currency?.trim().toUpperCase() ?? null,
  }));
}

function amountOf({ id, amount }: FoundRow): number | null {
  if (amount === null) return null;
  const number = Number(amount);
  if (Number.isSafeInteger(number)) return number;
  throw fail(
    'MappingInvalid',
    `The amount of payment ${id} is ${amount}, which is no whole number of the smallest unit of its currency. Nothing was changed: name another column in payments.tables.payments.columns.amount, or none.`,
  );
}

/** What the audit trail says of these payments; nothing where none is configured. */
export async function readAudit(
  client: Client,
  { audit: table }: PaymentTables,
  { audit }: PaymentsConfig,
  payments: string[],
): Promise<AuditEntry[]> {
  if (table === undefined) return [];
  const { id, entity, action, entityType, source } = table.columns;
  const kind = entityType === undefined ? '' : `AND a.${entityType.name} = ${valueParameter(2, entityType)}`;
  const { rows } = await client.query<AuditEntry>(
    `SELECT a.${entity.name}::text AS payment, a.${action.name}::text AS action, ${source === undefined ? 'NULL' : `a.${source.name}::text`} AS source
       FROM ${table.name} a WHERE a.${entity.name} = ANY(${keysParameter(1, entity)}) ${kind} ORDER BY a.${id.name} DESC LIMIT ${MAX_AUDIT}`,
    entityType === undefined ? [payments] : [payments, audit.entityType],
  );
  return rows.reverse();
}

/** What the booking is at, for people; null where no table of them is configured. */
export async function readBookingState(
  client: Client,
  { bookings: table }: PaymentTables,
  booking: string,
): Promise<string | null> {
  if (table === undefined) return null;
  const { id, status } = table.columns;
  const { rows } = await client.query<{ status: string }>(
    `SELECT b.${status.name}::text AS status FROM ${table.name} b WHERE b.${id.name} = ${valueParameter(1, id)}`,
    [booking],
  );
  return rows[0]?.status ?? null;
}

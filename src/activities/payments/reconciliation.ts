import type { Client } from 'pg';
import { databaseIn, type Place } from '../../contract/place';
import { checkRole } from '../postgres/repair/role';
import { canPassTriggers } from '../postgres/repair/undo';
import { highestFenceToken } from '../postgres/session/bookkeeping';
import { withClient } from '../postgres/session/connection';
import type { ActivityDeps } from '../support/deps';
import { withProgress } from '../support/heartbeat';
import {
  findingsOf,
  findRefunds,
  judge,
  withoutDoubles,
  type Finding,
  type JudgedPayment,
  type Refund,
} from './judge';
import { readProvider } from './provider';
import {
  readAudit,
  readBookingState,
  readPayments,
  type AuditEntry,
  type PaymentRow,
  type Subject,
} from './rows';
import { paymentsOf, providersOf, type PaymentsConfig } from './settings';
import {
  findWebhookIndex,
  readPaymentTables,
  writtenTables,
  type PaymentTables,
  type WebhookIndex,
} from './tables';

/** Every payment of a booking, as the application and as the providers have them. */
export interface PaymentFacts {
  booking: string;
  /** Null where bookings are not looked at. */
  bookingState: string | null;
  payments: JudgedPayment[];
  refunds: Refund[];
  findings: Finding[];
  audit: AuditEntry[];
  index: WebhookIndex;
  /** Providers whose refunds are configured. */
  canRefund: string[];
  informs: boolean;
  /** How long a provider may show what was before. */
  settleMs: number;
  unconfigured: string[];
  fenceToken: number;
}

const STATEMENT_TIMEOUT_MS = 60_000;

interface Stored extends Pick<
  PaymentFacts,
  'bookingState' | 'audit' | 'index' | 'unconfigured' | 'fenceToken'
> {
  rows: PaymentRow[];
}

/** Compares what an application has of payments with what their providers say. */
export function createReconciliationActivities(deps: ActivityDeps) {
  const open = <T>(place: Place, action: string, read: (client: Client) => Promise<T>): Promise<T> =>
    withClient(deps, databaseIn(place), read, {
      identity: true,
      allRows: true,
      readOnly: true,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      action,
    });

  return {
    /**
     * All payments of a booking, their audit trail, the index of webhooks, and the provider's view of each. Reads only, so
     * a retry is safe. Throws InvalidInput, MappingInvalid, RepairRoleInvalid, TooManyTargets, WrongDatabase,
     * DatabaseUnreachable, HttpFailed, ProviderUnclear.
     */
    async findPayments({ booking, payment, ...place }: Place & Subject): Promise<PaymentFacts> {
      const config = paymentsOf(deps, place.service);
      const { providers, inform } = providersOf(deps, place);
      const stored = await open(place, 'look at payments', (client) =>
        readStored(client, place, config, { booking, payment }),
      );
      const { rows, unconfigured, ...rest } = stored;
      const progress = { phase: 'ask the providers', done: 0, total: rows.length, unit: 'rows' as const };
      const payments = await withProgress(progress, async (report) => {
        const judged: JudgedPayment[] = [];
        for (const row of rows) {
          const view = await readProvider(deps, place, row);
          judged.push({ ...row, view, verdict: judge(row, view, config.transitions) });
          report({ done: judged.length });
        }
        return withoutDoubles(judged);
      });
      const { refunds, findings } = findRefunds(payments);
      const asked = rows.map(({ provider }) => providers[provider]);
      return {
        ...rest,
        booking: rows[0]!.booking,
        payments,
        refunds,
        findings: [...findings, ...findingsOf(payments, rest.audit, config)],
        canRefund: Object.keys(providers).filter((name) => providers[name]!.refund !== undefined),
        informs: inform !== undefined,
        settleMs: Math.max(0, ...asked.map((provider) => provider?.settleSeconds ?? 0)) * 1_000,
        unconfigured: [
          ...unconfigured,
          ...(inform === undefined ? ['no operation tells customers: that becomes a task for a person'] : []),
        ],
      };
    },

    /** Whether the index is there that keeps webhooks from being applied twice. Reads only. */
    async readWebhookIndex(place: Place): Promise<WebhookIndex> {
      const config = paymentsOf(deps, place.service);
      return open(place, 'look at the index of webhooks', async (client) =>
        findWebhookIndex(client, await readPaymentTables(client, place.service, config), config),
      );
    },
  };
}

async function readStored(
  client: Client,
  { service }: Place,
  config: PaymentsConfig,
  subject: Subject,
): Promise<Stored> {
  const tables = await readPaymentTables(client, service, config);
  if (config.role !== undefined) await checkRole(client, config.role, writtenTables(tables));
  const rows = await readPayments(client, tables, config, subject);
  const ids = rows.map(({ id }) => id);
  return {
    rows,
    bookingState: await readBookingState(client, tables, rows[0]!.booking),
    audit: await readAudit(client, tables, config, ids),
    index: await findWebhookIndex(client, tables, config),
    unconfigured: unconfiguredOf(config, tables, await canPassTriggers(client)),
    fenceToken: await highestFenceToken(client),
  };
}

/** Warnings for the plan: what nobody has configured is not done, and not silently. */
function unconfiguredOf(
  { role }: PaymentsConfig,
  { payments: { columns }, audit, bookings }: PaymentTables,
  passesTriggers: boolean,
): string[] {
  return [
    ...(role === undefined
      ? ['rows are changed with every right of the runbooks: no role is configured for payments']
      : []),
    ...(audit === undefined ? ['nothing is written into an audit trail: none is configured'] : []),
    ...(bookings === undefined ? ['the booking is not looked at: no table of them is configured'] : []),
    ...(columns.amount === undefined || columns.currency === undefined
      ? ['amounts are not compared, and nothing is refunded: no columns amount and currency are configured']
      : []),
    ...(passesTriggers
      ? []
      : [
          'going back passes through the triggers of the application, which may refuse it or change columns of their own: our role may not SET session_replication_role',
        ]),
  ];
}

import type Stripe from 'stripe';
import { databaseIn, type Place } from '../../../contract/place';
import { checkRole } from '../../postgres/repair/role';
import { unconfiguredRepair } from '../../postgres/repair/unconfigured';
import { highestFenceToken } from '../../postgres/session/bookkeeping';
import { withClient } from '../../postgres/session/connection';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import { hostOf } from '../../support/http';
import { askStripe, requireMode, statusOf, type Asking } from './client';
import { readRecords, readStripeTables, type StripeTables } from './records';
import { stripeOf, stripeTablesOf, type EnvironmentStripeConfig, type StripeConfig } from './settings';

/** An event of Stripe that the application should have. */
export interface MissingEvent {
  id: string;
  type: string;
  /** ISO time. */
  createdAt: string;
}

/** What Stripe could not deliver, compared with what the application has recorded. */
export interface EventLook {
  endpoint: { id: string; host: string; enabled: boolean };
  /** Not recorded, the oldest first; at most `maxEvents`. */
  missing: MissingEvent[];
  /** Not recorded, and more than one run takes. */
  others: number;
  /** Undelivered as Stripe says, and recorded all the same: never sent again. */
  recorded: number;
  /** Recorded as applied more than once. */
  doubled: string[];
  /** Not for this endpoint. */
  elsewhere: number;
  /** So young that Stripe is still delivering them. */
  young: number;
  /** Named by a person, not recorded, and Stripe has them no more. */
  lost: string[];
  /** There are more than were read. */
  more: boolean;
  days: number;
  maxRounds: number;
  patienceMs: number;
  lookEveryMs: number;
  canProbe: boolean;
  unconfigured: string[];
  fenceToken: number;
}

export interface FailedPayments {
  count: number;
  more: boolean;
  /** The newest, as `pi_1 (card_declined)`. */
  named: string[];
}

/** What became of events, by the record of the application. */
export interface FollowedEvents {
  arrived: string[];
  /** Applied more than once. */
  doubled: string[];
  missing: string[];
}

const MAX_READ = 5_000;
const MAX_NAMED = 10;
const NOT_THERE = 404;
const FAILED_TYPES = ['payment_intent.payment_failed', 'invoice.payment_failed', 'charge.failed'];
const PROGRESS = { phase: 'read events', done: 0, total: 0, unit: 'rows' as const };

/** Looks at the events of Stripe, and at what the application has of them. Changes neither. */
export function createUndeliveredActivities(deps: ActivityDeps) {
  return {
    /**
     * What Stripe could not deliver and the application has not recorded; `events` are looked at besides, delivered or not.
     * Throws InvalidInput, ModeMismatch, HttpFailed, MappingInvalid, RepairRoleInvalid, DatabaseUnreachable.
     */
    async findMissingStripeEvents({
      events: named = [],
      ...place
    }: Place & { events?: string[] }): Promise<EventLook> {
      const tables = stripeTablesOf(deps, place.service);
      return withProgress(PROGRESS, async (report) => {
        const found = await askStripe(deps, place, 'read the undelivered events', async (asking) => {
          const endpoint = await readEndpoint(asking);
          const undelivered = await readUndelivered(asking, (done) => report({ done }));
          return { endpoint, ...undelivered, ...(await readNamed(asking, named)) };
        });
        const ids = [...new Set([...found.events, ...found.named].map(({ id }) => id)), ...found.gone];
        return withClient(
          deps,
          databaseIn(place),
          async (client) => {
            const mapped = await readStripeTables(client, place.service, tables);
            await checkRepairRole(client, tables, mapped);
            const records = await readRecords(client, mapped, tables, ids);
            return {
              ...judge(found, records, stripeOf(deps, place)),
              unconfigured: unconfiguredOf(stripeOf(deps, place), tables, mapped),
              fenceToken: await highestFenceToken(client),
            };
          },
          { identity: true, allRows: true, readOnly: true, action: 'read the events that were applied' },
        );
      });
    },

    /** Payments that failed in those days, for people. Reads only. Throws as `findMissingStripeEvents`. */
    async readFailedPayments(place: Place): Promise<FailedPayments> {
      return askStripe(deps, place, 'read the failed payments', async ({ stripe, config }) => {
        const page = await stripe.events.list({
          types: FAILED_TYPES,
          created: { gte: since(config) },
          limit: 100,
        });
        page.data.forEach((event) => requireMode(event, config));
        return {
          count: page.data.length,
          more: page.has_more,
          named: page.data.slice(0, MAX_NAMED).map(failureText),
        };
      });
    },

    /** What the application has recorded of exactly these. Reads only. Throws MappingInvalid, DatabaseUnreachable. */
    async followStripeEvents({ events, ...place }: Place & { events: string[] }): Promise<FollowedEvents> {
      const tables = stripeTablesOf(deps, place.service);
      return withClient(
        deps,
        databaseIn(place),
        async (client) => {
          const mapped = await readStripeTables(client, place.service, tables);
          const records = await readRecords(client, mapped, tables, events);
          const times = (id: string) => records.get(id) ?? 0;
          return {
            arrived: events.filter((id) => times(id) > 0),
            doubled: events.filter((id) => times(id) > 1),
            missing: events.filter((id) => times(id) === 0),
          };
        },
        { identity: true, allRows: true, readOnly: true, action: 'read the events that were applied' },
      );
    },
  };
}

type Found = Awaited<ReturnType<typeof readUndelivered>> &
  Awaited<ReturnType<typeof readNamed>> & { endpoint: Stripe.WebhookEndpoint };

async function readEndpoint({ stripe, config }: Asking): Promise<Stripe.WebhookEndpoint> {
  const endpoint = await stripe.webhookEndpoints.retrieve(config.endpoint).catch((error: unknown) => {
    if (failedWith(error) !== NOT_THERE) throw error;
    throw fail(
      'InvalidInput',
      `Stripe has no webhook endpoint ${config.endpoint}; correct stripe.endpoint, or the key of another account, in the configuration.`,
    );
  });
  requireMode(endpoint, config);
  return endpoint;
}

/** The newest first, page by page, up to a bound. */
async function readUndelivered({ stripe, config }: Asking, told: (done: number) => void) {
  const events: Stripe.Event[] = [];
  const { types } = config;
  const list = stripe.events.list({
    delivery_success: false,
    created: { gte: since(config) },
    limit: 100,
    ...(types.length === 0 ? {} : { types }),
  });
  for await (const event of list) {
    requireMode(event, config);
    if (events.length === MAX_READ) return { events, more: true };
    events.push(event);
    told(events.length);
  }
  return { events, more: false };
}

/** Those that a person named, also where Stripe thinks that they were taken. */
async function readNamed({ stripe, config }: Asking, ids: string[]) {
  const named: Stripe.Event[] = [];
  const gone: string[] = [];
  for (const id of ids) {
    const event = await stripe.events.retrieve(id).catch((error: unknown) => {
      if (failedWith(error) !== NOT_THERE) throw error;
      return undefined;
    });
    if (event === undefined) gone.push(id);
    else {
      requireMode(event, config);
      named.push(event);
    }
  }
  return { named, gone };
}

/** Of an error as the client throws it, before it is said in our words. */
export function failedWith(error: unknown): number | undefined {
  return statusOf((error as { detail?: unknown } | null)?.detail ?? error);
}

function judge(
  { endpoint, events, named, gone, more }: Found,
  records: Map<string, number>,
  config: EnvironmentStripeConfig,
): Omit<EventLook, 'unconfigured' | 'fenceToken'> {
  const wanted = new Set(endpoint.enabled_events);
  const isWanted = ({ type }: Stripe.Event) => wanted.has('*') || wanted.has(type);
  const youngest = Date.now() / 1_000 - config.graceSeconds;
  const asked = new Set(named.map(({ id }) => id));
  const mine = events.filter((event) => isWanted(event) && !asked.has(event.id));
  const all = [...mine, ...named];
  const unrecorded = all.filter(({ id }) => !records.has(id));
  const ripe = unrecorded.filter(({ id, created }) => created <= youngest || asked.has(id));
  const oldestFirst = ripe.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
  return {
    endpoint: { id: endpoint.id, host: hostOf(endpoint.url), enabled: endpoint.status === 'enabled' },
    missing: oldestFirst.slice(0, config.maxEvents).map(({ id, type, created }) => ({
      id,
      type,
      createdAt: new Date(created * 1_000).toISOString(),
    })),
    others: Math.max(0, ripe.length - config.maxEvents),
    recorded: all.length - unrecorded.length,
    doubled: [...records].flatMap(([id, times]) => (times > 1 ? [id] : [])).slice(0, MAX_NAMED),
    elsewhere: events.filter((event) => !isWanted(event)).length,
    young: unrecorded.length - ripe.length,
    lost: gone.filter((id) => !records.has(id)),
    more,
    days: config.days,
    maxRounds: config.maxRounds,
    patienceMs: config.patienceSeconds * 1_000,
    lookEveryMs: config.lookEverySeconds * 1_000,
    canProbe: config.probe !== undefined,
  };
}

async function checkRepairRole(
  client: Parameters<typeof readRecords>[0],
  { role }: StripeConfig,
  { subscriptions, audit }: StripeTables,
): Promise<void> {
  if (role === undefined || subscriptions === undefined) return;
  await checkRole(client, role, [subscriptions.name, ...(audit === undefined ? [] : [audit.name])]);
}

function unconfiguredOf(
  { probe }: EnvironmentStripeConfig,
  { role }: StripeConfig,
  { subscriptions, audit }: StripeTables,
): string[] {
  return [
    ...(probe === undefined
      ? ['whether the application takes a signed event is not tried: stripe.probe is not configured']
      : []),
    ...(subscriptions === undefined
      ? ['no subscription is compared with Stripe: stripe.tables.subscriptions is not configured']
      : unconfiguredRepair({ role, audit })),
  ];
}

function since({ days }: EnvironmentStripeConfig): number {
  return Math.floor(Date.now() / 1_000 - days * 86_400);
}

/** Names what failed and the code of why, and nobody's card or address. */
function failureText({ data }: Stripe.Event): string {
  const {
    id,
    failure_code: code,
    last_payment_error: last,
  } = data.object as {
    id?: string;
    failure_code?: string | null;
    last_payment_error?: { code?: string } | null;
  };
  return `${id ?? 'one without an ID'} (${code ?? last?.code ?? 'Stripe says no code'})`;
}

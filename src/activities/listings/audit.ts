import type { Client } from 'pg';
import { serviceOf } from '../../config/load';
import { databaseIn, targetOf, type Place } from '../../contract/place';
import { readSource } from '../observe/source';
import {
  instantText,
  instantValue,
  keysParameter,
  valueParameter,
  type MappedColumn,
} from '../postgres/repair/mapping';
import { checkRole } from '../postgres/repair/role';
import { triggersOnTheWayBack, unconfiguredRepair, unknownWords } from '../postgres/repair/unconfigured';
import { highestFenceToken } from '../postgres/session/bookkeeping';
import { withClient } from '../postgres/session/connection';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { gateOf, listingsOf, type ListingsConfig } from './settings';
import {
  changedTables,
  readListingTables,
  unapproved,
  unapprovedParameters,
  writtenTables,
  type ListingTables,
} from './tables';

/** A published listing whose provider or property profile is not approved. */
export interface UnapprovedListing {
  id: string;
  provider: string | null;
  /** Null where there is no such provider. `NO_STATE` where it has none. */
  providerState: string | null;
  /** Null where none is looked at. `NO_STATE` where there is none. */
  profileState: string | null;
  /** ISO time; null where nobody keeps it. */
  publishedAt: string | null;
  /**
   * Published when its provider had been decided about already; null where nobody keeps those times, or that provider is
   * approved: when its profile was decided about is not known.
   */
  pastTheGate: boolean | null;
}

/** What was published lately, approved or not. */
export interface RecentPublishes {
  count: number;
  days: number;
  /** The newest of them, newest first: key and ISO time. */
  newest: { id: string; publishedAt: string }[];
}

export interface GateAudit {
  listings: UnapprovedListing[];
  /** Null where no column says when a listing was published. */
  recent: RecentPublishes | null;
  unconfigured: string[];
  fenceToken: number;
}

/** Whether the application lets only approved providers publish. */
export interface PublishingGate {
  /** Null where nobody can say. */
  inForce: boolean | null;
  detail: string;
  configured: boolean;
}

/** Stands where the application would say a state. */
const NO_STATE = 'none';

/** Which listings are looked at, and nothing else; all of them where none are named. */
export interface AuditInput extends Place {
  among?: string[];
}

/** The whole table is read, without a lock. */
const SEARCH_TIMEOUT_MS = 30 * 60_000;
const MAX_NEWEST = 10;

/** Looks whether only approved providers have something published. */
export function createGateAuditActivities(deps: ActivityDeps) {
  return {
    /**
     * Published listings that should not be, and what was published lately. Reads only. Throws InvalidInput,
     * MappingInvalid, RepairRoleInvalid, TooManyTargets, WrongDatabase, DatabaseUnreachable.
     */
    async findUnapprovedListings({ among, ...place }: AuditInput): Promise<GateAudit> {
      const { service } = place;
      const config = listingsOf(deps, service);
      const { maxDestructive } = serviceOf(deps.config, service);
      return withClient(
        deps,
        databaseIn(place),
        async (client) => {
          const tables = await readListingTables(client, service, config);
          if (config.role !== undefined) await checkRole(client, config.role, writtenTables(tables));
          return {
            listings: await findListings(client, { place, config, tables, maxDestructive, among }),
            recent: among === undefined ? await findRecent(client, config, tables) : null,
            unconfigured: among === undefined ? await unconfiguredOf(client, config, tables) : [],
            fenceToken: await highestFenceToken(client),
          };
        },
        {
          identity: true,
          allRows: true,
          readOnly: true,
          statementTimeoutMs: SEARCH_TIMEOUT_MS,
          action: 'look for listings that are not approved',
        },
      );
    },

    /** What the configured source says of the gate; that it cannot be read is an answer. Reads only. */
    async readPublishingGate(place: Place): Promise<PublishingGate> {
      const gate = gateOf(deps, place);
      if (gate === undefined)
        return { inForce: null, detail: 'not looked at: none is configured', configured: false };
      const { expected, ...source } = gate;
      const action = `look at the publishing gate of ${targetOf(place)}`;
      const reading = await readSource(deps, place, source, { action, yesOrNo: true });
      if (!reading.known) return { inForce: null, detail: `not known: ${reading.detail}`, configured: true };
      const said = String(reading.value).trim();
      const inForce = said === expected;
      return { inForce, detail: `it says "${said.slice(0, 100)}", wanted "${expected}"`, configured: true };
    },
  };
}

interface Search {
  place: Place;
  config: ListingsConfig;
  tables: ListingTables;
  maxDestructive: number;
  among: string[] | undefined;
}

async function findListings(
  client: Client,
  { place, config, tables, maxDestructive, among }: Search,
): Promise<UnapprovedListing[]> {
  const { listings, providers, profiles } = tables;
  const { id, provider, profile, profileStatus, publishedAt } = listings.columns;
  const { decidedAt } = providers.columns;
  const parameters = unapprovedParameters(tables, config);
  const ofProfile = profiles !== undefined && profile !== undefined;
  const stateOf = (column: string) => `coalesce(${column}::text, '${NO_STATE}')`;
  const profileState = ofProfile
    ? stateOf(`f.${profiles.columns.status.name}`)
    : profileStatus === undefined
      ? 'NULL'
      : stateOf(`t.${profileStatus.name}`);
  const { id: key, status: decided } = providers.columns;
  const providerState = `CASE WHEN p.${key.name} IS NOT NULL THEN ${stateOf(`p.${decided.name}`)} END`;
  const past =
    publishedAt === undefined || decidedAt === undefined
      ? 'NULL::boolean'
      : `CASE WHEN p.${decided.name} IS DISTINCT FROM ${valueParameter(2, decided)}
              THEN ${instantText(publishedAt, 't')} COLLATE "C" >= ${instantText(decidedAt, 'p')} END`;
  const named =
    among === undefined ? 'true' : `t.${id.name} = ANY(${keysParameter(parameters.length + 2, id)})`;
  const { rows } = await client.query<UnapprovedListing & { total: number }>(
    `SELECT t.${id.name}::text AS id, t.${provider.name}::text AS provider, ${providerState} AS "providerState",
            ${profileState} AS "profileState", ${timeOf(publishedAt)} AS "publishedAt", ${past} AS "pastTheGate",
            count(*) OVER ()::int AS total
       FROM ${listings.name} t LEFT JOIN ${providers.name} p ON p.${key.name} = t.${provider.name}
            ${ofProfile ? `LEFT JOIN ${profiles.name} f ON f.${profiles.columns.id.name} = t.${profile.name}` : ''}
      WHERE ${unapproved(tables, 1)} AND ${named} ORDER BY t.${id.name} LIMIT $${parameters.length + 1}`,
    [...parameters, maxDestructive + 1, ...(among === undefined ? [] : [among])],
  );
  const total = rows[0]?.total ?? 0;
  if (total > maxDestructive)
    throw fail(
      'TooManyTargets',
      `${total} listings of ${targetOf(place)} are published and not approved, more than maxDestructive allows (${maxDestructive}). None of these was suspended: look first whether listings.states is what the application calls its states.`,
    );
  return rows.map(({ total: _total, ...found }) => found);
}

function timeOf(column: MappedColumn | undefined): string {
  return column === undefined ? 'NULL' : instantText(column, 't');
}

async function findRecent(
  client: Client,
  { states, recentDays }: ListingsConfig,
  { listings: { name, columns } }: ListingTables,
): Promise<RecentPublishes | null> {
  const { id, status, publishedAt } = columns;
  if (publishedAt === undefined) return null;
  const since = instantValue('now() - make_interval(secs => $2::float8 * 86400)', publishedAt);
  const { rows } = await client.query<{ id: string; publishedAt: string; total: number }>(
    `SELECT t.${id.name}::text AS id, ${instantText(publishedAt, 't')} AS "publishedAt", count(*) OVER ()::int AS total
       FROM ${name} t
      WHERE t.${status.name} = $1::text::${status.type} AND t.${publishedAt.name} >= ${since}
      ORDER BY t.${publishedAt.name} DESC LIMIT $3`,
    [states.published, recentDays, MAX_NEWEST],
  );
  return {
    count: rows[0]?.total ?? 0,
    days: recentDays,
    newest: rows.map(({ total: _total, ...row }) => row),
  };
}

async function unconfiguredOf(
  client: Client,
  config: ListingsConfig,
  tables: ListingTables,
): Promise<string[]> {
  const { listings, providers, profiles, audit } = tables;
  const { status, profile, profileStatus, publishedAt } = listings.columns;
  const { states } = config;
  const words = [
    { table: listings, status, value: states.published, path: 'states.published' },
    { table: listings, status, value: states.suspended, path: 'states.suspended' },
    { table: providers, status: providers.columns.status, value: states.approved, path: 'states.approved' },
    ...(profiles === undefined
      ? []
      : [
          {
            table: profiles,
            status: profiles.columns.status,
            value: states.profileApproved,
            path: 'states.profileApproved',
          },
        ]),
    ...(profileStatus === undefined
      ? []
      : [
          {
            table: listings,
            status: profileStatus,
            value: states.profileApproved,
            path: 'states.profileApproved',
          },
        ]),
  ];
  return [
    ...unconfiguredRepair({ role: config.role, audit }),
    ...(profile === undefined && profileStatus === undefined
      ? ['property profiles are not looked at: neither profile nor profileStatus is configured']
      : []),
    ...(publishedAt === undefined
      ? ['what was published lately is not listed: no column publishedAt is configured']
      : []),
    ...(await unknownWords(client, words)),
    ...(await triggersOnTheWayBack(client, changedTables(tables))),
  ];
}

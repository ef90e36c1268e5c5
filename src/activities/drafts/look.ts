import type { Client } from 'pg';
import { compilePattern } from '../../config/pattern';
import { databaseIn, targetOf, type Place } from '../../contract/place';
import { instantText, instantValue } from '../postgres/repair/mapping';
import { checkRole } from '../postgres/repair/role';
import { triggersOnTheWayBack, unconfiguredRepair } from '../postgres/repair/unconfigured';
import { highestFenceToken } from '../postgres/session/bookkeeping';
import { withClient } from '../postgres/session/connection';
import { byHand } from '../support/by-hand';
import type { ActivityDeps } from '../support/deps';
import { draftsOf, savingOf, type DraftsConfig, type Keep } from './settings';
import { changedTables, readDraftTables, writtenTables, type DraftTables } from './tables';

/** An attempt to save that was not stored: the newest of its editor. Never what was written. */
export interface LostAttempt {
  id: string;
  /** The version that was being edited. */
  base: string;
  /** ISO time. */
  savedAt: string;
  /** Null where the journal does not have what was written. */
  bytes: number | null;
}

export interface LostDraft {
  draft: string;
  owner: string | null;
  /** Version that is stored; null where there is no such draft any more. */
  stored: string | null;
  /** ISO time. */
  storedAt: string | null;
  /** Newest first. */
  attempts: LostAttempt[];
  /** Editors beside those: not looked at. */
  more: number;
}

export interface LostSaves {
  drafts: LostDraft[];
  /** Drafts with lost saves, also those that are too many for one run. */
  total: number;
  keep: Keep;
  maxQuestions: number;
  unconfigured: string[];
  fenceToken: number;
}

export interface Saving {
  attempts: number;
  failed: number;
  /** Null where there were too few attempts to say. */
  failing: boolean | null;
  /** Most frequent first, by kind: an error may quote what was written. */
  errors: { kind: string; count: number }[];
  /** When the first of them failed; ISO time. */
  since: string | null;
  detail: string;
}

export interface Protection {
  localOnly: boolean;
  probe: boolean;
  inform: boolean;
  /** The exact way to have edits saved as usual again, for people; null where nothing keeps them local. */
  saveByHand: string | null;
  /** Name of what a rollback watches. */
  measure: string | null;
  settleMs: number;
}

const SEARCH_TIMEOUT_MS = 30 * 60_000;
const MAX_EDITORS = 20;
const MAX_ERRORS = 500;
const OTHER = 'other';

/** Looks whether saves succeed, and what was lost where they did not. */
export function createDraftLookActivities(deps: ActivityDeps) {
  return {
    /** What the configuration lets be done about failing saves. */
    async readProtection(place: Place): Promise<Protection> {
      const saving = savingOf(deps, place);
      return {
        localOnly: saving?.localOnly !== undefined,
        probe: saving?.probe !== undefined,
        inform: saving?.inform !== undefined,
        saveByHand: saving?.localOnly === undefined ? null : byHand(saving.localOnly.off, place),
        measure: saving?.measure ?? null,
        settleMs: (saving?.settleSeconds ?? 60) * 1_000,
      };
    },

    /**
     * The share of saves that fail, since a time or within the configured window. Reads only. Throws InvalidInput,
     * MappingInvalid, WrongDatabase, DatabaseUnreachable.
     */
    async readSaving({ since, ...place }: Place & { since?: string }): Promise<Saving> {
      const config = draftsOf(deps, place.service);
      const action = `count the saves of ${targetOf(place)}`;
      return withClient(
        deps,
        databaseIn(place),
        async (client) =>
          countSaves(client, config, await readDraftTables(client, place.service, config), since),
        { identity: true, allRows: true, readOnly: true, action },
      );
    },

    /**
     * Attempts that were not stored, by draft. Reads only. Throws InvalidInput, MappingInvalid, RepairRoleInvalid,
     * WrongDatabase, DatabaseUnreachable.
     */
    async findLostSaves(place: Place): Promise<LostSaves> {
      const config = draftsOf(deps, place.service);
      const { role, keep, maxQuestions } = config;
      return withClient(
        deps,
        databaseIn(place),
        async (client) => {
          const tables = await readDraftTables(client, place.service, config);
          if (role !== undefined) await checkRole(client, role, writtenTables(tables));
          return {
            ...(await findLost(client, config, tables)),
            keep,
            maxQuestions,
            unconfigured: [
              ...unconfiguredRepair({ role, audit: tables.audit }),
              ...(await triggersOnTheWayBack(client, changedTables(tables))),
            ],
            fenceToken: await highestFenceToken(client),
          };
        },
        {
          identity: true,
          allRows: true,
          readOnly: true,
          statementTimeoutMs: SEARCH_TIMEOUT_MS,
          action: 'look for saves that were lost',
        },
      );
    },
  };
}

async function countSaves(
  client: Client,
  { states, windowMinutes, minAttempts, maxFailedShare, errorKinds }: DraftsConfig,
  { attempts: { name, columns } }: DraftTables,
  since: string | undefined,
): Promise<Saving> {
  const { savedAt, status, error } = columns;
  const from = instantValue('coalesce($1::timestamptz, now() - make_interval(secs => $2::float8))', savedAt);
  const text = error === undefined ? `''` : `coalesce(left(t.${error.name}::text, 300), '')`;
  const { rows } = await client.query<{ failed: boolean; error: string; count: number; first: string }>(
    `SELECT t.${status.name}::text = ANY($3::text[]) AS failed, count(*)::int AS count, min(${instantText(savedAt, 't')}) AS first,
            CASE WHEN t.${status.name}::text = ANY($3::text[]) THEN ${text} ELSE '' END AS error
       FROM ${name} t WHERE t.${savedAt.name} >= ${from} GROUP BY 1, 4 ORDER BY 2 DESC`,
    [since ?? null, windowMinutes * 60, states.failed],
  );
  const bad = rows.filter(({ failed }) => failed);
  const failed = sum(bad.map(({ count }) => count));
  const attempts = sum(rows.map(({ count }) => count));
  const errors = error === undefined ? [] : kindsOf(bad.slice(0, MAX_ERRORS), errorKinds);
  const failing = attempts < minAttempts ? null : failed / attempts > maxFailedShare;
  const of = `${failed} of ${attempts} saves failed ${since === undefined ? `within ${windowMinutes} min` : 'since'}`;
  const kinds = errors.map(({ kind, count }) => `${kind} ${count}`).join(', ');
  return {
    attempts,
    failed,
    failing,
    errors,
    since: bad.map(({ first }) => first).sort()[0] ?? null,
    detail: `${of}${kinds === '' ? '' : ` (${kinds})`}${failing === null ? `, too few to tell: at least ${minAttempts} are needed` : ''}`,
  };
}

function kindsOf(found: { error: string; count: number }[], kinds: Record<string, string>): Saving['errors'] {
  const patterns = Object.entries(kinds).map(([kind, pattern]) => ({
    kind,
    pattern: compilePattern(`(?i)${pattern}`),
  }));
  const counts = new Map<string, number>();
  for (const { error, count } of found) {
    const kind = patterns.find(({ pattern }) => pattern.matcher(error).find())?.kind ?? OTHER;
    counts.set(kind, (counts.get(kind) ?? 0) + count);
  }
  return [...counts].map(([kind, count]) => ({ kind, count })).sort((a, b) => b.count - a.count);
}

const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);

type FoundAttempt = LostAttempt & Omit<LostDraft, 'attempts' | 'more'> & { editors: number; total: number };

/** Of each editor the newest attempt, where that was not stored, and is not what the draft says by now. */
async function findLost(
  client: Client,
  { states, lookBackHours, maxDrafts }: DraftsConfig,
  { drafts, attempts }: DraftTables,
): Promise<Pick<LostSaves, 'drafts' | 'total'>> {
  const { id, draft, base, savedAt, body, status, session } = attempts.columns;
  const of = drafts.columns;
  const since = instantValue('now() - make_interval(secs => $2::float8 * 3600)', savedAt);
  const { rows } = await client.query<FoundAttempt>(
    `WITH newest AS (
       SELECT DISTINCT ON (t.${draft.name}, t.${session.name}) t.* FROM ${attempts.name} t
        WHERE t.${savedAt.name} >= ${since} ORDER BY t.${draft.name}, t.${session.name}, t.${savedAt.name} DESC, t.${id.name} DESC
     ), lost AS (
       SELECT t.${id.name}::text AS id, t.${draft.name}::text AS draft, d.${of.owner.name}::text AS owner, d.${of.version.name}::text AS stored,
              ${instantText(of.updatedAt, 'd')} AS "storedAt", t.${base.name}::text AS base, ${instantText(savedAt, 't')} AS "savedAt",
              octet_length(t.${body.name}::text) AS bytes,
              row_number() OVER (PARTITION BY t.${draft.name} ORDER BY t.${savedAt.name} DESC, t.${id.name} DESC) AS nth,
              count(*) OVER (PARTITION BY t.${draft.name})::int AS editors, dense_rank() OVER (ORDER BY t.${draft.name}) AS place
         FROM newest t LEFT JOIN ${drafts.name} d ON d.${of.id.name} = t.${draft.name}
        WHERE t.${status.name}::text = ANY($1::text[]) AND t.${body.name}::text IS DISTINCT FROM d.${of.body.name}::text
     )
     SELECT id, draft, owner, stored, "storedAt", base, "savedAt", bytes, editors, (SELECT max(place) FROM lost)::int AS total
       FROM lost WHERE place <= $3 AND nth <= $4 ORDER BY place, nth`,
    [states.failed, lookBackHours, maxDrafts, MAX_EDITORS],
  );
  const found = new Map<string, LostDraft>();
  for (const { draft: key, owner, stored, storedAt, editors, total: _total, ...attempt } of rows) {
    const one = found.get(key) ?? { draft: key, owner, stored, storedAt, attempts: [], more: editors };
    one.attempts.push(attempt);
    one.more -= 1;
    found.set(key, one);
  }
  return { drafts: [...found.values()], total: rows[0]?.total ?? 0 };
}

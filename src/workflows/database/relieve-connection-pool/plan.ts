import { ApplicationFailure } from '@temporalio/workflow';
import type { Offender } from '../../../activities/postgres/connections/connection-facts';
import { countOf } from '../../../contract/text';
import type { PlanDraft } from '../../kit';
import {
  greedyRole,
  limitText,
  offendersOf,
  wholePercent,
  relieved,
  sessionsText,
  tightOf,
  type Look,
} from './limits';
import { type Place, targetOf } from '../../../contract/place';

/** What a run may do, in this order; what comes later only while what came before was not enough. */
export interface Relief {
  idle: Offender[];
  queries: Offender[];
  /** Former size and highest new size of the pool; undefined where it stays as it is. */
  pool?: { from: number; to: number };
  restart: boolean;
}

/**
 * Decides what may be done. What comes and goes by itself (ages, counts, load) is not in it, so that an approval of it
 * lasts; the sessions are. Throws TooManyTargets, and NothingToTry where only a person can help.
 */
export function planRelief(look: Look): Relief {
  const { pool, connections } = look;
  const { maxDestructive, poolStep } = connections.settings;
  const { idle, queries } = offendersOf(look);
  const count = idle.length + queries.length;
  if (count > maxDestructive) {
    throw ApplicationFailure.nonRetryable(
      `at least ${count} sessions are over a limit, more than maxDestructive allows (${maxDestructive}). Nothing was ended: find out what opened them`,
      'TooManyTargets',
    );
  }
  const tight = tightOf(look).length > 0;
  const relief: Relief = { idle, queries, restart: tight && pool.canRestart };
  if (tight && pool.canSetMax && pool.max !== null) relief.pool = { from: pool.max, to: pool.max + poolStep };
  if (count === 0 && relief.pool === undefined && !relief.restart) {
    throw ApplicationFailure.nonRetryable(
      `${relieved(look).detail}. No session is over a limit of its own, and neither setPoolMax nor restart is configured: find out who has the connections (see the snapshot)${greedyRest(look)}`,
      'NothingToTry',
    );
  }
  return relief;
}

function greedyRest(look: Look): string {
  const greedy = greedyRole(look);
  return greedy === undefined ? '' : `. ${limitText(greedy)}`;
}

export function draftOf(place: Place, look: Look, { idle, queries, pool, restart }: Relief): PlanDraft {
  const target = targetOf(place);
  const { graceSeconds, maxUtilisation } = look.connections.settings;
  const actions: PlanDraft['actions'] = [];
  if (idle.length > 0) {
    const action = 'end sessions that sit idle in a transaction';
    actions.push({ action, target, count: idle.length, detail: sessionsText(idle) });
  }
  if (queries.length > 0) {
    const action = 'if still short, cancel long queries';
    const detail = `${sessionsText(queries)}; a session that still runs it ${graceSeconds} s later is ended`;
    actions.push({ action, target, count: queries.length, detail });
  }
  if (pool !== undefined) {
    const detail = `from ${pool.from} to at most ${pool.to} connections, where the server has room`;
    actions.push({ action: 'if only the pool is exhausted then, raise it', target, detail });
  }
  if (restart) {
    const detail = `only if still at ${wholePercent(maxUtilisation)} or more after all that`;
    actions.push({ action: 'as the last resort, restart the application', target, detail });
  }
  const ended = [...idle, ...queries];
  const lost = `what ${countOf(ended.length, 'session')} did not commit is lost; an ended session cannot be brought back`;
  return {
    actions,
    warnings: [...(ended.length > 0 ? [lost] : []), ...preparedText(look), ...greedyText(look)],
    facts: { database: look.connections.database, sessions: ended.map(identityOf).sort().join(' ') },
  };
}

/** Without numbers, which are others a moment later: an approval lasts as long as it is the same role. */
function greedyText(look: Look): string[] {
  const greedy = greedyRole(look);
  if (greedy === undefined) return [];
  return [
    `${greedy.role} has most of the connections and no limit of its own: when they are relieved, people are told the limit to set; nothing is set by this run`,
  ];
}

/** Said before anybody is ended: who waits for their locks waits on, however many sessions go. */
function preparedText({ connections: { preparedNames = [] } }: Look): string[] {
  if (preparedNames.length === 0) return [];
  const named = preparedNames.map((name) => `'${name}'`).join(', ');
  return [
    `locks of prepared transactions stay, whoever is ended, until their owner says COMMIT PREPARED or ROLLBACK PREPARED: ${named}`,
  ];
}

function identityOf({ pid, backendStart, since }: Offender): string {
  return `${pid}@${backendStart}/${since}`;
}

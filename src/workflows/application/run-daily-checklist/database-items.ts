import type { ChecklistScope } from '../../../activities/application/checklist';
import { MOST, type Counters } from '../../../contract/checklist';
import type { Place } from '../../../contract/place';
import { countOf, duration, percent, utc } from '../../kit';
import { colorOf, type Item } from './item';

/** Connections, statements, locks and deadlocks. What is counted goes into `counters`, for the next checklist. */
export function databaseItems(
  place: Place,
  scope: ChecklistScope,
  before: Counters | null,
  counters: Counters,
): Item[] {
  const limitMs = scope.limits.itemSeconds * 1_000;
  return [
    connectionsItem(place, scope, limitMs),
    longStatementsItem(place, scope, limitMs),
    slowStatementsItem(place, scope, before, counters, limitMs),
    lockWaitsItem(place, scope, limitMs),
    deadlocksItem(place, scope, before, counters, limitMs),
  ];
}

function connectionsItem(place: Place, { maxUtilisation }: ChecklistScope, limitMs: number): Item {
  return {
    name: 'connections',
    objective: `at most ${percent(maxUtilisation, 0)} in use`,
    next: 'relieveConnectionPool',
    silence: 'red',
    limitMs,
    read: async (run) => {
      const { reachable, utilisation, detail } = await run.step(
        'Connections',
        (act) => act.probeDatabase(place),
        { describe: (probe) => probe.detail },
      );
      if (!reachable) return { color: 'red', figure: detail };
      return { color: (utilisation ?? 1) > maxUtilisation ? 'red' : 'green', figure: detail };
    },
  };
}

function longStatementsItem(place: Place, { longQuerySeconds }: ChecklistScope, limitMs: number): Item {
  return {
    name: 'running statements',
    objective: `none for longer than ${duration(longQuerySeconds * 1_000)}`,
    next: 'relieveConnectionPool',
    limitMs,
    read: async (run) => {
      const found = await run.step('Running statements', (act) => act.readLongStatements(place));
      const [longest] = found;
      if (longest === undefined) return { color: 'green', figure: 'none' };
      const took = duration(Date.now() - Date.parse(longest.since));
      const figure = `${seen(found, 'statement')}; the longest for ${took}, of ${nameOf(longest)}: ${longest.query}`;
      return { color: 'red', figure };
    },
  };
}

function slowStatementsItem(
  place: Place,
  { slowMs, limits }: ChecklistScope,
  before: Counters | null,
  counters: Counters,
  limitMs: number,
): Item {
  return {
    name: 'slow statements',
    objective: `at most ${duration(slowMs)} on average`,
    next: 'tuneSlowQueries',
    limitMs,
    read: async (run) => {
      const known = before?.statements;
      const { missing, slow, counted } = await run.step('Slow statements', (act) =>
        act.readSlowStatements({ ...place, ...(known === undefined ? {} : { before: known }) }),
      );
      if (missing !== undefined)
        return { color: 'not configured', figure: 'nobody counts statements here', next: missing };
      counters.statements = counted;
      const [slowest] = slow;
      if (slowest === undefined) return { color: 'green', figure: `none since ${sinceOf(before)}` };
      const figure = `${seen(slow, 'statement')} since ${sinceOf(before)}; the slowest ${countOf(slowest.calls, 'time')} for ${duration(slowest.meanMs)} on average: ${slowest.query}`;
      return { color: slowest.meanMs > limits.slowStatementSeconds * 1_000 ? 'red' : 'yellow', figure };
    },
  };
}

function lockWaitsItem(place: Place, { limits }: ChecklistScope, limitMs: number): Item {
  const { warning, critical } = limits.lockWaitSeconds;
  return {
    name: 'lock waits',
    objective: `none for longer than ${duration(warning * 1_000)}`,
    next: 'relieveConnectionPool',
    limitMs,
    read: async (run) => {
      const waits = await run.step('Lock waits', (act) => act.readLockWaits(place));
      const [longest] = waits;
      if (longest === undefined) return { color: 'green', figure: 'none' };
      const { waitedMs, blockers, query } = longest;
      const by = blockers.map((one) => `${nameOf(one)} (${one.state})`).join(', ') || 'nobody any more';
      const figure = `${seen(waits, 'session')}; ${nameOf(longest)} for ${duration(waitedMs)}, kept waiting by ${by}: ${query}`;
      return { color: colorOf(waitedMs / 1_000, { warning, critical }), figure };
    },
  };
}

function deadlocksItem(
  place: Place,
  { limits }: ChecklistScope,
  before: Counters | null,
  counters: Counters,
  limitMs: number,
): Item {
  return {
    name: 'deadlocks',
    objective: `at most ${limits.deadlocks.warning}`,
    next: 'have those transactions take their locks in one order; the log of the server names them',
    limitMs,
    read: async (run) => {
      const { deadlocks, countedSince } = await run.step('Deadlocks', (act) => act.readDeadlocks(place));
      counters.deadlocks = deadlocks;
      const earlier = before?.deadlocks;
      // Fewer than before, or counted from a later time: somebody has reset them, or the server has crashed.
      const anew = countedSince !== null && Date.parse(countedSince) > Date.parse(before?.at ?? '');
      const known = earlier !== undefined && earlier <= deadlocks && !anew;
      const fresh = known ? deadlocks - earlier : deadlocks;
      const color = colorOf(fresh, limits.deadlocks);
      const since = known
        ? sinceOf(before)
        : countedSince === null
          ? 'they are counted'
          : `${utc(countedSince)} UTC`;
      // Of years, where no checklist has counted them before: nothing to call anybody for.
      const old = earlier === undefined && color === 'red';
      return { color: old ? 'yellow' : color, figure: `${fresh} since ${since}` };
    },
  };
}

function sinceOf(before: Counters | null): string {
  return before === null ? 'they are counted' : `the checklist of ${utc(before.at)} UTC`;
}

function nameOf({ application, pid }: { application: string; pid: number }): string {
  return application === '' ? `process ${pid}` : `${application} (${pid})`;
}

function seen(found: unknown[], what: string): string {
  return `${found.length < MOST ? '' : 'at least '}${countOf(found.length, what)}`;
}

import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { Counters } from '../../../contract/checklist';
import type { Place, ScratchRef } from '../../../contract/place';
import type {
  IndexProof,
  IndexReview,
  KnownStatement,
  OffPeak,
  PlannedCost,
  TableState,
  VacuumReview,
} from '../../../contract/tuning';
import type { ActivityDeps } from '../../support/deps';
import { withProgress } from '../../support/heartbeat';
import { withClient } from '../session/connection';
import { inTransaction } from '../session/transaction';
import { buildIndex, dropIndex, type ChangedIndex, type ChangeInput } from './change-index';
import { offPeakAt } from './off-peak';
import { plannedCosts } from './planned-costs';
import { proveIndexes, type ToProve } from './prove-indexes';
import { reviewAllIndexes, reviewSlowQueries } from './review';
import { readSlowStatements, type SlowStatements } from './slow-statements';
import { readTimes } from './statements';
import { readStatistics } from './statistics';
import {
  describeTable,
  findingsOf,
  isDue,
  readHindrances,
  readTableState,
  readTableStates,
} from './table-state';
import { readUnlockedStatements, type Counter, type UnlockedStatements } from './unlocked-statements';
import { vacuumTable, type Vacuumed, type VacuumInput } from './vacuum-table';

/** Statements, indexes and tables of a database: what is wrong with them, and what is done about it. */
export function createTuningActivities(deps: ActivityDeps) {
  const tuningOf = ({ service }: Place) => serviceOf(deps.config, service).tuning;

  /** In one transaction, so that what is said of one table belongs together. */
  function read<T>(place: Place, action: string, body: (client: Client) => Promise<T>): Promise<T> {
    const { service, environment } = place;
    const options = { identity: true, readOnly: true, action };
    return withClient(
      deps,
      { kind: 'service', service, environment },
      (client) => inTransaction(client, () => body(client), { begin: 'BEGIN READ ONLY' }),
      options,
    );
  }

  return {
    /** Slow statements, and the indexes they want or nobody uses. Reads only. Throws MissingPrivilege, WrongDatabase. */
    async findSlowQueries(place: Place): Promise<IndexReview> {
      return read(place, 'look for slow queries', (client) => reviewSlowQueries(client, tuningOf(place)));
    },

    /** Indexes that are invalid, doubled, unused, or missing on a foreign key. Reads only. Throws MissingPrivilege, WrongDatabase. */
    async findIndexProblems(place: Place): Promise<IndexReview> {
      return read(place, 'look at the indexes', (client) => reviewAllIndexes(client, tuningOf(place)));
    },

    /** Tries changes on a copy, in a transaction that is rolled back; safe to repeat. Throws TargetNotOurs. */
    async proveIndexes(input: ToProve & { database: ScratchRef }): Promise<IndexProof> {
      const options = { identity: true, statementTimeoutMs: 0, lockTimeoutMs: 0, action: 'try the indexes' };
      const total = input.changes.length;
      return withProgress({ phase: 'try the indexes', done: 0, total, unit: 'statements' }, (report) =>
        withClient(
          deps,
          input.database,
          (client) => proveIndexes(client, input, (done) => report({ done })),
          options,
        ),
      );
    },

    /** What the planner of the live server expects of these statements; runs none of them. */
    async planStatements({
      statements,
      ...place
    }: Place & { statements: KnownStatement[] }): Promise<PlannedCost[]> {
      const { costs } = await read(place, 'plan the statements', (client) =>
        plannedCosts(client, statements),
      );
      return costs;
    },

    /** Calls of these statements and their time so far; empty where nobody counts. Reads only. */
    async readStatementTimes({ ids, ...place }: Place & { ids: string[] }) {
      return read(place, 'read the times of the statements', (client) => readTimes(client, ids));
    },

    /** Statements that were slow since they were counted the last time. Reads only. Throws MissingPrivilege, WrongDatabase. */
    async readSlowStatements({
      before,
      ...place
    }: Place & { before?: Counters['statements'] }): Promise<SlowStatements> {
      const { slowMs } = tuningOf(place);
      return read(place, 'look for slow statements', (client) => readSlowStatements(client, slowMs, before));
    },

    /** Statements that read and write a counter without holding its row, and who has its table now. Reads only. Throws WrongDatabase. */
    async findUnlockedStatements({
      counter,
      ...place
    }: Place & { counter: Counter }): Promise<UnlockedStatements> {
      return read(place, `look for statements on ${counter.relation} that lock no row`, (client) =>
        readUnlockedStatements(client, counter),
      );
    },

    /** Builds an index, or finds it built by an earlier attempt: see `buildIndex`. */
    async buildIndex(input: ChangeInput & { again?: boolean }): Promise<ChangedIndex> {
      const phase = `build ${input.change.index}`;
      return withProgress({ phase, done: 0, total: 1, unit: 'statements' }, () => buildIndex(deps, input));
    },

    /** Drops an index, or finds it gone: see `dropIndex`. */
    async dropIndex(input: ChangeInput & { ours?: boolean }): Promise<ChangedIndex> {
      const phase = `drop ${input.change.index}`;
      return withProgress({ phase, done: 0, total: 1, unit: 'statements' }, () => dropIndex(deps, input));
    },

    /** Tables with many dead rows, and what keeps autovacuum from them. Reads only. Throws MissingPrivilege, WrongDatabase. */
    async findBloatedTables(place: Place): Promise<VacuumReview> {
      const { vacuum, maxDestructive } = serviceOf(deps.config, place.service);
      return read(place, 'look for bloated tables', async (client) => {
        const { database, fenceToken, countedSince } = await readStatistics(client);
        const tables = await readTableStates(client);
        const allDue = tables.filter((one) => isDue(one, vacuum));
        const due = allDue.slice(0, maxDestructive);
        const later = allDue.slice(maxDestructive).map(({ table }) => table);
        const { deadShare, lockTimeoutSeconds, tableTimeoutMinutes } = vacuum;
        return {
          ...{ database, fenceToken, countedSince, due, later },
          findings: findingsOf(tables, vacuum),
          warnings: await readHindrances(client),
          settings: { deadShare, lockTimeoutSeconds, tableTimeoutMinutes },
          offPeak: offPeakAt(new Date(), vacuum.offPeak),
        };
      });
    },

    /** Whether a vacuum may begin now. Reads the configuration and the clock. */
    async readOffPeak({ service }: Place): Promise<OffPeak> {
      return offPeakAt(new Date(), serviceOf(deps.config, service).vacuum.offPeak);
    },

    /** One table as it is now; null where it is gone. Reads only. */
    async readTable({
      table,
      ...place
    }: Place & { table: string }): Promise<{ state: TableState; detail: string } | null> {
      return read(place, `look at ${table}`, async (client) => {
        const found = await readTableState(client, table);
        if (found === undefined) return null;
        const { vacuums: _, ...state } = found;
        return { state, detail: describeTable(found) };
      });
    },

    /** Vacuums one table: see `vacuumTable`. */
    async vacuumTable(input: VacuumInput): Promise<Vacuumed> {
      return vacuumTable(deps, input);
    },
  };
}

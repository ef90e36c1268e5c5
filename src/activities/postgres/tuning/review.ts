import type { Client } from 'pg';
import type { TuningConfig } from '../../../config/tuning-schema';
import type { IndexChange, IndexReview, KnownStatement } from '../../../contract/tuning';
import { countOf, duration } from '../../../contract/text';
import { readForeignKeys, readIndexes } from './index-facts';
import { indexesForKeys, indexesForSearches } from './missing-indexes';
import { duplicateIndexes, invalidIndexes, overlappingIndexes, unusedIndexes } from './spare-indexes';
import { readStatements, type CountedStatement } from './statements';
import { readStatistics, unseenReads, type Statistics } from './statistics';
import { readTables, type TableFacts } from './tables';

interface Seen {
  statistics: Statistics;
  tables: TableFacts[];
  statements: CountedStatement[];
  statementsSeen: boolean;
  warnings: string[];
}

interface Found {
  slow?: CountedStatement[];
  changes: IndexChange[];
  findings: string[];
  statements?: KnownStatement[];
}

/** The statements that are slow, and the indexes that would make them faster or that nothing uses. */
export async function reviewSlowQueries(client: Client, config: TuningConfig): Promise<IndexReview> {
  const seen = await look(client);
  const indexes = await readIndexes(client, config.unusedDays);
  const slow = seen.statements.filter(
    ({ meanMs, calls }) => meanMs >= config.slowMs && calls >= config.minCalls,
  );
  const missing = indexesForSearches(slow, seen.tables, indexes, config.minTableRows);
  const unused = await unusedOf(client, seen, config);
  const findings = [
    ...missing.findings,
    ...unused.findings,
    ...manyCalls(seen.statements, config),
    ...fullReads(seen.tables, config),
  ];
  return toReview(seen, config, { slow, changes: [...missing.changes, ...unused.changes], findings });
}

/** Everything that is wrong with the indexes by themselves. */
export async function reviewAllIndexes(client: Client, config: TuningConfig): Promise<IndexReview> {
  const seen = await look(client);
  const indexes = await readIndexes(client, config.unusedDays);
  const doubled = duplicateIndexes(indexes);
  const needless = [invalidIndexes(indexes), doubled];
  const keys = indexesForKeys(await readForeignKeys(client), seen.tables, indexes, config.minTableRows);
  const gone = new Set(needless.flatMap(({ changes }) => changes.map(({ index }) => index)));
  // The one that stays serves from now on whatever the others served: its own scans say little yet.
  const unused = await unusedOf(client, seen, config, new Set([...gone, ...doubled.staying]));
  const findings = [
    ...needless.flatMap((one) => one.findings),
    ...keys.findings,
    ...unused.findings,
    ...overlappingIndexes(indexes.filter(({ index }) => !gone.has(index))),
  ];
  const changes = [...needless.flatMap((one) => one.changes), ...keys.changes, ...unused.changes];
  return toReview(seen, config, { changes, findings, statements: keys.statements });
}

async function look(client: Client): Promise<Seen> {
  const statistics = await readStatistics(client);
  const tables = await readTables(client);
  const { missing, statements, leftOut } = await readStatements(client, tables);
  const warnings = unseenReads(statistics);
  if (missing !== undefined)
    warnings.push(`pg_stat_statements is not there, so no statement is known. As a superuser: ${missing}`);
  if (leftOut > 0)
    warnings.push(
      `${countOf(leftOut, 'statement')} left out: longer than 2000 characters, or with what looks like a secret`,
    );
  return { statistics, tables, statements, statementsSeen: missing === undefined, warnings };
}

/** Only where it was counted for long enough, and where statements are known on which it can be tried. */
async function unusedOf(
  client: Client,
  { statistics: { countedSince, countedDays, ageUnseen }, statementsSeen, warnings }: Seen,
  { unusedDays }: TuningConfig,
  without = new Set<string>(),
): Promise<{ changes: IndexChange[]; findings: string[] }> {
  if (countedDays < unusedDays) {
    warnings.push(
      `scans are counted for certain since ${countedSince} only: no index is called unused before ${unusedDays} days (\`tuning.unusedDays\`)${ageUnseen ? '; to let our role see how old the database is, as a superuser in it: GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO that role' : ''}`,
    );
    return { changes: [], findings: [] };
  }
  const indexes = (await readIndexes(client, unusedDays)).filter(({ index }) => !without.has(index));
  const { changes, findings } = unusedIndexes(indexes, await readForeignKeys(client), countedSince);
  if (changes.length > 0)
    warnings.push('PostgreSQL does not say since when an index is there: a new one had less time to be used');
  if (statementsSeen) return { changes, findings };
  const untried = changes.map(
    ({ index, why }) =>
      `${index}: ${why}; no statement is known to try it on, so after a look of your own: DROP INDEX CONCURRENTLY ${index};`,
  );
  return { changes: [], findings: [...findings, ...untried] };
}

function toReview(
  seen: Seen,
  config: TuningConfig,
  { slow = [], changes, findings, statements = [] }: Found,
): IndexReview {
  const { statistics, statementsSeen, warnings } = seen;
  const { database, fenceToken, countedSince, replicas, planner } = statistics;
  const chosen = changes.slice(0, config.maxChanges);
  const later = changes.slice(config.maxChanges).map(({ kind, index }) => `${kind} ${index}`);
  if (later.length > 0)
    warnings.push(`left for the next run, over \`tuning.maxChanges\`: ${later.join(', ')}`);
  const concerned = new Set(chosen.map(({ table }) => table));
  const helped = new Set(chosen.flatMap(({ helps }) => helps));
  const witnesses = [...statements, ...seen.statements]
    .filter(({ tables }) => tables.some((one) => concerned.has(one)))
    .sort((a, b) => Number(helped.has(b.id)) - Number(helped.has(a.id)));
  if (witnesses.length > MAX_WITNESSES)
    warnings.push(
      `only the ${MAX_WITNESSES} statements of these tables that took most of the time are tried, of ${witnesses.length}`,
    );
  if (slow.length > MAX_SLOW)
    warnings.push(`only the first ${MAX_SLOW} of ${slow.length} slow statements are told`);
  const { slowMs, minGain, maxLoss, buildTimeoutMinutes } = config;
  return {
    ...{ database, fenceToken, countedSince, replicas, planner, statementsSeen, warnings, findings },
    slow: slow.slice(0, MAX_SLOW).map(plain),
    witnesses: witnesses.slice(0, MAX_WITNESSES).map(plain),
    changes: chosen,
    settings: { slowMs, minGain, maxLoss, buildTimeoutMinutes },
  };
}

/** They pass through the history several times. */
const MAX_WITNESSES = 60;
const MAX_SLOW = 20;

function plain({ id, text, tables, calls, meanMs, kind }: KnownStatement): KnownStatement {
  return { id, text, tables, calls, meanMs, ...(kind === undefined ? {} : { kind }) };
}

const MAX_FINDINGS = 5;
const FEW_ROWS = 2;
const MAX_SHOWN = 160;

/** One statement for each row of another one: fast by itself, and more of them than anybody would write. */
function manyCalls(statements: CountedStatement[], { manyCalls: limit, slowMs }: TuningConfig): string[] {
  return statements
    .filter(
      ({ kind, calls, rowsPerCall, meanMs }) =>
        kind === 'read' && calls >= limit && rowsPerCall <= FEW_ROWS && meanMs < slowMs,
    )
    .sort((a, b) => b.calls - a.calls)
    .slice(0, MAX_FINDINGS)
    .map(
      ({ text, calls, rowsPerCall, meanMs }) =>
        `perhaps N+1, one query for each row of another: ${calls} calls of ${rowsPerCall.toFixed(1)} rows and ${duration(meanMs)} each: ${shown(text)}`,
    );
}

/** Read from the beginning to the end, again and again. */
function fullReads(tables: TableFacts[], { minTableRows }: TuningConfig): string[] {
  return tables
    .filter(
      ({ rows, seqScans, seqRows }) =>
        rows >= minTableRows && seqScans > 0 && seqRows / seqScans >= minTableRows,
    )
    .sort((a, b) => b.seqRows - a.seqRows)
    .slice(0, MAX_FINDINGS)
    .map(
      ({ table, rows, seqScans, seqRows }) =>
        `${table} of about ${Math.round(rows)} rows was read by ${countOf(seqScans, 'sequential scan')}, ${seqRows} rows in all`,
    );
}

function shown(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)} ...` : line;
}

import type { DatabaseFacts } from '../../../contract/database';
import { countOf, utc } from '../../kit';

/** What of the server stands in the way of a migration, for the plan. */
export function serverWarnings(facts: DatabaseFacts): string[] {
  return [...replicaWarnings(facts), ...preparedWarnings(facts)];
}

function replicaWarnings(facts: DatabaseFacts): string[] {
  const { maxReplicaLagSeconds: lag, replicaLagLimitSeconds: limit, unseenReplicas = 0, role } = facts;
  const warnings: string[] = [];
  if (lag !== null && limit !== undefined && lag > limit)
    warnings.push(
      `a replica was ${Math.round(lag)} s behind when this was planned; no file is begun while one is more than ${limit} s behind`,
    );
  if (unseenReplicas > 0)
    warnings.push(
      `the lag of ${countOf(unseenReplicas, 'replica')} is not seen by ${role}, so nothing waits for it: grant ${role} pg_read_all_stats`,
    );
  return warnings;
}

function preparedWarnings({ preparedTransactions = [] }: DatabaseFacts): string[] {
  return preparedTransactions.map(
    ({ gid, owner, preparedAt }) =>
      `transaction '${gid}' of ${owner}, prepared at ${utc(preparedAt)}, keeps its locks whatever client ends: COMMIT PREPARED or ROLLBACK PREPARED is up to its owner`,
  );
}

import { ERROR_RATE, errorRateBands } from '../../config/measure-schema';
import { checklistSchema, type ChecklistConfig } from '../../config/checklist-schema';
import { environmentOf, serviceOf } from '../../config/load';
import type { LogsConfig } from '../../config/log-schema';
import type { ServiceConfig } from '../../config/schema';
import type { SmokeConfig } from '../../config/smoke-schema';
import type { ChecklistRecord, Counters } from '../../contract/checklist';
import { targetOf, type Place } from '../../contract/place';
import type { Outcome, RunReport } from '../../contract/report';
import { searchAttributes } from '../../contract/search-attributes';
import { objectiveOf } from '../observe/measure';
import { longestLogMs } from '../observe/logs';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { longestSmokeMs } from './smoke';

/** What can be looked at, and by which limits. */
export interface ChecklistScope {
  /** How many health checks each environment of the service has. */
  health: Record<string, number>;
  /** The objective; null where nothing measures it. */
  errorRate: number | null;
  /** All that are configured but the error rate. */
  measures: { name: string; objective: string }[];
  crons: string[];
  logs: (Pick<LogsConfig, 'errors' | 'watch'> & { permittedMs: number }) | null;
  /** The smoke test of which environment; null where it has none, or there is no such environment. */
  smoke: { permittedMs: number } | null;
  backups: boolean;
  maxUtilisation: number;
  longQuerySeconds: number;
  slowMs: number;
  limits: ChecklistConfig;
}

type PastReport = Partial<Pick<RunReport, 'environment' | 'outcome'>> & { checklist?: ChecklistRecord };

const LOOKED_AT = 50;

/** What a daily checklist is made of. */
export function createChecklistActivities({ config, client }: ActivityDeps) {
  return {
    /** Reads only the configuration. Throws InvalidInput. */
    async readChecklist({ service, environment }: Place): Promise<ChecklistScope> {
      const found = serviceOf(config, service);
      const { application, observe, checklist } = environmentOf(config, service, environment);
      const limits = checklistSchema.parse(checklist ?? {});
      const logs = observe?.logs;
      return {
        health: healthOf(found),
        errorRate: errorRateBands({ application, observe })?.max ?? null,
        measures: Object.entries(observe?.measures ?? {})
          .filter(([name]) => name !== ERROR_RATE)
          .map(([name, measure]) => ({ name, objective: objectiveOf(measure) })),
        crons: Object.keys(application?.crons ?? {}),
        logs:
          logs === undefined
            ? null
            : { errors: logs.errors, watch: logs.watch, permittedMs: longestLogMs(logs) },
        smoke: smokeOf(found.environments[limits.smoke]?.smoke),
        backups: found.backups !== undefined,
        maxUtilisation: found.connections.maxUtilisation,
        longQuerySeconds: found.connections.longQuerySeconds,
        slowMs: found.tuning.slowMs,
        limits,
      };
    },

    /**
     * What the newest checklist of this environment counted; null where there is none. Of those that tell people, only one
     * that has told them: what it saw is no news then, and nobody has heard of it else. Reads only.
     */
    async readCountersBefore({ tells, ...place }: Place & { tells: boolean }): Promise<Counters | null> {
      if (client === undefined)
        throw fail(
          'CommandFailed',
          `The checklists before of ${targetOf(place)} cannot be read: no Temporal.`,
        );
      const { service, environment } = place;
      const query = `WorkflowType = 'runDailyChecklist' AND ${searchAttributes.service.name} = '${service}' AND ExecutionStatus = 'Completed'`;
      const outcomes: (Outcome | undefined)[] = tells ? ['SUCCEEDED'] : ['SUCCEEDED', 'OBSERVED'];
      let newest: Counters | null = null;
      let seen = 0;
      for await (const { memo } of client.workflow.list({ query, pageSize: LOOKED_AT })) {
        const report = memo?.['report'] as PastReport | undefined;
        const counts = report?.environment === environment && outcomes.includes(report.outcome);
        const counters = counts ? report.checklist?.counters : undefined;
        if (counters !== undefined && (newest === null || counters.at > newest.at)) newest = counters;
        if ((seen += 1) >= LOOKED_AT) break;
      }
      return newest;
    },
  };
}

function healthOf({ environments }: ServiceConfig): Record<string, number> {
  const counts = Object.entries(environments).map(([name, { application }]) => [
    name,
    application?.health.length ?? 0,
  ]);
  return Object.fromEntries(counts) as Record<string, number>;
}

function smokeOf(smoke: SmokeConfig | undefined): ChecklistScope['smoke'] {
  return smoke === undefined ? null : { permittedMs: longestSmokeMs(smoke) };
}

import { environmentOf, serviceOf } from '../../config/load';
import { ADJUSTMENTS, type Adjustment } from '../../config/operation-schema';
import type { ActivityDeps } from '../support/deps';
import type { Place } from '../../contract/place';

/** What the configuration lets runbooks do about an application in trouble. Nothing in it is secret. */
export interface Remedies {
  restart: boolean;
  /** Names of those that can be switched off, least needed first. */
  features: string[];
  /** What gives it more room. */
  adjustments: Adjustment[];
  /** Those of them of which nobody can say whether they are applied already. */
  blindAdjustments?: Adjustment[];
  /** How long raised limits stay; null where they cannot be raised. */
  raiseLimitsMs: number | null;
  /** A deployment younger than this when errors began is suspected; null where there are none to go back to. */
  suspectMs: number | null;
  /** Share of the connections from which on they are too many. */
  maxUtilisation: number;
}

export function createRemedyActivities({ config }: ActivityDeps) {
  return {
    /** Reads only the configuration. Throws InvalidInput. */
    async readRemedies({ service, environment }: Place): Promise<Remedies> {
      const { application } = environmentOf(config, service, environment);
      const { deployments, connections } = serviceOf(config, service);
      const limits = application?.raiseRateLimits;
      return {
        restart: application?.restart !== undefined,
        features: (application?.features ?? []).map(({ name }) => name),
        adjustments: ADJUSTMENTS.filter((name) => application?.[name] !== undefined),
        blindAdjustments: ADJUSTMENTS.filter(
          (name) => application?.[name] !== undefined && application[name].current === undefined,
        ),
        raiseLimitsMs: limits === undefined ? null : limits.minutes * 60_000,
        suspectMs: deployments === undefined ? null : deployments.suspectMinutes * 60_000,
        maxUtilisation: connections.maxUtilisation,
      };
    },
  };
}

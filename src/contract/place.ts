/** What passes between workflows and activities. Plain data: it ends up in histories, so no secret is ever in it. */

/** One environment of a service. */
export interface Place {
  service: string;
  environment: string;
  /**
   * Of the server that people approved in place of the registered one, which is lost. Absent: the registered one. Every
   * session is held to it.
   */
  systemIdentifier?: string;
}

/** Name of the lease of an environment's database. */
export function targetOf({ service, environment }: Place): string {
  return `${service}/${environment}`;
}

/** A database named, not addressed: credentials stay in the configuration. */
export type DatabaseRef =
  | {
      kind: 'service';
      service: string;
      environment: string;
      /** Another database on the same server, e.g. a copy restored beside the live one. */
      database?: string;
      /** As in `Place`. */
      systemIdentifier?: string;
    }
  | {
      kind: 'scratch';
      /** Key of a disposable cluster on the worker's host. */
      scratch: string;
      database: string;
    };

/** The live database of an environment, or another one on its server. */
export function databaseIn(
  { service, environment, systemIdentifier }: Place,
  database?: string,
): Extract<DatabaseRef, { kind: 'service' }> {
  return {
    kind: 'service',
    service,
    environment,
    ...(database === undefined ? {} : { database }),
    ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
  };
}

/** Proof that the run holds the lease of a target. Checked at the target by everything that changes it. */
export interface Fence {
  /** Name of the leased target, e.g. `booking/production`. */
  target: string;
  token: number;
}

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
}

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
      /** What it is a copy of. */
      of: Place;
    };

/** A database in a disposable cluster. */
export type ScratchRef = Extract<DatabaseRef, { kind: 'scratch' }>;

/** Whose database it is: that of the place itself, or a copy of it. */
export function placeOf(database: DatabaseRef): Place {
  if (database.kind === 'scratch') return database.of;
  const { service, environment, systemIdentifier } = database;
  return { service, environment, ...(systemIdentifier === undefined ? {} : { systemIdentifier }) };
}

/** Runs that began before a copy said what it is of name the service beside it. */
export function serviceAt({ service, database }: { service?: string; database: DatabaseRef }): string {
  return service ?? placeOf(database).service;
}

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

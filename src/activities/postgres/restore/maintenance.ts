import type { Client } from 'pg';
import { databaseOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { withClient, type ConnectionOptions } from '../session/connection';
import { maintenanceDatabase } from './database-marks';
import { databaseIn, type Place } from '../../../contract/place';

/** Name of the live database of an environment. */
export function liveName(deps: ActivityDeps, { service, environment }: Place): string {
  return databaseOf(deps.config, service, environment).identity.database;
}

/** A session on the server of an environment, in a database that is not concerned. */
export function inMaintenance<T>(
  deps: ActivityDeps,
  place: Place,
  body: (client: Client) => Promise<T>,
  options: ConnectionOptions = {},
): Promise<T> {
  return withClient(deps, databaseIn(place), body, {
    identity: true,
    database: maintenanceDatabase(liveName(deps, place)),
    action: 'look at the databases',
    ...options,
  });
}

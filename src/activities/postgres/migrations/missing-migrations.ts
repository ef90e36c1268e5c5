import type { ClientBase } from 'pg';
import { serviceOf } from '../../../config/load';
import type { MissingMigrations } from '../../../contract/migration';
import { databaseIn, type DatabaseRef, type Place } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { problemOf } from '../../support/http';
import { withClient } from '../session/connection';
import { readToolLedger } from './command-migration';
import { readLedgerRows } from './ledger';
import { appliedIn } from './ledger-state';
import { appliedByTool } from './order';
import { openMigrations, type MigrationFolder } from './script-files';

/** What stands in a history is bounded. */
const MAX_NAMES = 100;

export function createMissingMigrationActivities(deps: ActivityDeps) {
  async function appliedNames(
    service: string,
    database: DatabaseRef,
    folder: MigrationFolder | undefined,
  ): Promise<string[]> {
    const { migrations } = serviceOf(deps.config, service);
    const read = async (client: ClientBase): Promise<string[]> => {
      const ledger = await readLedgerRows(client);
      const told = await readToolLedger(client, migrations);
      const known = folder === undefined ? told : appliedByTool(folder, ledger, told).map(({ name }) => name);
      return [...new Set([...appliedIn(ledger).map(({ name }) => name), ...known])];
    };
    return withClient(deps, database, read, { identity: true, readOnly: true, action: 'read the ledger' });
  }

  return {
    /**
     * Migrations that are applied in the live database and not in a copy of a backup of it. While the live one is away, those
     * of the folder that the copy lacks, which may never have been applied. Where neither can be read it says why. Reads only.
     */
    async findMissingMigrations({
      copy,
      ...place
    }: Place & { copy: DatabaseRef }): Promise<MissingMigrations> {
      const { service } = place;
      const { command } = serviceOf(deps.config, service).migrations;
      try {
        const folder = command === undefined ? openMigrations(deps, service) : undefined;
        const there = new Set(await appliedNames(service, copy, folder));
        const live = await appliedNames(service, databaseIn(place), folder).catch((error: unknown) =>
          problemOf(error),
        );
        const wanted = typeof live === 'string' ? folder?.migrations.map(({ name }) => name) : live;
        if (wanted === undefined) return { count: null, names: [], byFolder: false, problem: live as string };
        const missing = wanted.filter((name) => !there.has(name));
        const names = missing.slice(0, MAX_NAMES);
        return { count: missing.length, names, byFolder: typeof live === 'string' };
      } catch (error) {
        return { count: null, names: [], byFolder: false, problem: problemOf(error) };
      }
    },
  };
}

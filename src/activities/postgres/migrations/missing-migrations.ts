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

const NO_LEDGER =
  'neither the ledger of the runbooks nor `migrations.ledgerQuery` names any that is applied in the live database';

function unknown(problem: string): MissingMigrations {
  return { count: null, names: [], byFolder: false, problem: problem.replace(/\.$/, '') };
}

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

  /** Whoever applies them by a tool of their own may have none that is laid out as we know it. */
  function folderOf(service: string): MigrationFolder | undefined {
    if (serviceOf(deps.config, service).migrations.command !== undefined) return undefined;
    try {
      return openMigrations(deps, service);
    } catch {
      return undefined;
    }
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
      try {
        const folder = folderOf(service);
        const there = new Set(await appliedNames(service, copy, folder));
        const live = await appliedNames(service, databaseIn(place), folder).catch((error: unknown) =>
          problemOf(error),
        );
        const isAway = typeof live === 'string';
        const wanted = isAway ? (folder?.migrations.map(({ name }) => name) ?? []) : live;
        if (wanted.length === 0) return unknown(isAway ? live : NO_LEDGER);
        const missing = wanted.filter((name) => !there.has(name));
        return { count: missing.length, names: missing.slice(0, MAX_NAMES), byFolder: isAway };
      } catch (error) {
        return unknown(problemOf(error));
      }
    },
  };
}

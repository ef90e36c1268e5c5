/** A database with one of everything, and a way through backup, drill, restore and swap that must leave it as it was. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCanaryActivities } from '../../../src/activities/postgres/backups/canary';
import { createBackupActivities } from '../../../src/activities/postgres/backups/take-backup';
import { createRestoreActivities } from '../../../src/activities/postgres/restore/restore-activities';
import { createScratchActivities } from '../../../src/activities/postgres/restore/scratch-activities';
import { createSwapActivities } from '../../../src/activities/postgres/restore/swap-activities';
import { createValidateActivities } from '../../../src/activities/postgres/restore/validation-activities';
import { withoutCasts } from '../../../src/activities/postgres/inspection/deparsed-text';
import { clusterUser } from '../../../src/host/postgres';
import type { ValidationReport } from '../../../src/contract/backup';
import type { DatabaseRef, Fence } from '../../../src/contract/place';
import { runActivity, runSql, type FreshOptions, type TestDatabase, type TestPostgres } from '../postgres';

/** The role that the documents name for restores. */
export const DOCUMENTED_ROLE = { user: 'torture_runbooks', password: 'torture-runbooks' };

const script = (name: string): string => readFileSync(join(__dirname, `${name}.sql`), 'utf8');

/** Roles and tablespaces: once for a server. */
export async function prepareTorture(pg: TestPostgres): Promise<void> {
  await runSql(pg.urlOf('postgres'), script('roles'));
  for (const name of ['torture_space', 'torture_home']) {
    const path = join(pg.directory, name);
    mkdirSync(path);
    const user = clusterUser();
    if (user !== undefined) chownSync(path, user.uid, user.gid);
    await runSql(pg.urlOf('postgres'), `CREATE TABLESPACE ${name} LOCATION '${path}'`);
    await runSql(
      pg.urlOf('postgres'),
      `GRANT CREATE ON TABLESPACE ${name} TO torture_owner, torture_other, torture_runbooks`,
    );
  }
}

/** Without `everything` only what the documented role may restore. `tables` more of them are empty, with long names. */
export async function makeTorture(
  pg: TestPostgres,
  { everything, tables = 0, ...fresh }: FreshOptions & { everything: boolean; tables?: number },
): Promise<TestDatabase> {
  const db = await pg.fresh({
    ...fresh,
    service: { backups: { directory: 'backups', contentDigest: true }, ...fresh.service },
  });
  await runSql(
    pg.urlOf('postgres'),
    `ALTER DATABASE ${db.name} OWNER TO torture_owner; ALTER DATABASE ${db.name} SET work_mem = '7MB';
     ALTER DATABASE ${db.name} SET search_path = torture, public; ALTER DATABASE ${db.name} CONNECTION LIMIT 90;
     ALTER DATABASE ${db.name} SET datestyle = 'SQL, DMY'; ALTER DATABASE ${db.name} SET timezone = 'Asia/Tokyo';
     ALTER DATABASE ${db.name} SET intervalstyle = 'iso_8601'; ALTER DATABASE ${db.name} SET bytea_output = 'escape';
     ALTER DATABASE ${db.name} SET extra_float_digits = -3;
     COMMENT ON DATABASE ${db.name} IS 'the ''shop'''; GRANT TEMPORARY ON DATABASE ${db.name} TO torture_reader WITH GRANT OPTION;
     REVOKE CONNECT ON DATABASE ${db.name} FROM PUBLIC; GRANT CONNECT ON DATABASE ${db.name} TO torture_app, torture_runbooks`,
  );
  await runSql(pg.urlOf('postgres'), `ALTER DATABASE ${db.name} SET TABLESPACE torture_home`);
  await db.query(script('plain'));
  if (everything) {
    await db.query(script('superuser'));
    await db.query(`ALTER ROLE torture_app IN DATABASE ${db.name} SET statement_timeout = '33s'`);
  }
  if (tables > 0) await db.query(manyTables(tables));
  return db;
}

/** Three lines of the listing each, of more than 200 bytes: names are as long as they may be. */
function manyTables(count: number): string {
  const [schema, owner] = ['many'.padEnd(63, '_'), 'torture_owner_of_many'.padEnd(63, '_')];
  return `SET synchronous_commit = off; CREATE ROLE ${owner}; GRANT ${owner} TO ${DOCUMENTED_ROLE.user}; CREATE SCHEMA ${schema} AUTHORIZATION ${owner};
    SET ROLE ${owner};
    ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT ON TABLES TO torture_reader;
    DO $$ BEGIN FOR i IN 1..${count} LOOP
      EXECUTE format('CREATE TABLE ${schema}.%I (id int)', rpad('t' || i, 63, '_'));
    END LOOP; END $$`;
}

const asLines = (text: string): string[] =>
  text
    .split('\n')
    // A token of its own in every dump, and what may be deparsed differently after a restore.
    .filter((line) => line !== '' && !/^(--|\\(un)?restrict )|^(CREATE|ALTER) SUBSCRIPTION /.test(line))
    .map(withoutCasts);

/** Roles, tablespaces, properties, schema and data as pg_dumpall and pg_dump write them. */
export function dumpOf(pg: TestPostgres, name: string): { globals: string[]; database: string[] } {
  const run = (program: string, args: string[]): string[] =>
    asLines(
      execFileSync(join(pg.server.binDirectory, program), args, { maxBuffer: 1 << 28, encoding: 'utf8' }),
    );
  return {
    globals: run('pg_dumpall', ['--globals-only', '-d', pg.urlOf('postgres')]),
    database: run('pg_dump', ['--create', '--blobs', '--exclude-schema=durable_runbooks', pg.urlOf(name)]),
  };
}

/** Kinds of the entries of a dump as `pg_restore --list` names them, grants by what they are on. */
export function kindsOf(pg: TestPostgres, name: string): string[] {
  const bin = (program: string): string => join(pg.server.binDirectory, program);
  const input = execFileSync(bin('pg_dump'), ['-Fc', pg.urlOf(name)], { maxBuffer: 1 << 28 });
  const listing = execFileSync(bin('pg_restore'), ['--list', '--create'], { input, encoding: 'utf8' });
  const kinds = [...listing.matchAll(/^\d+; \d+ \d+ ((?:[A-Z]+ )+)(.*)$/gm)].map(([, kind, rest]) => {
    const on = /^\S+ ((?:[A-Z]+ )+)/.exec(rest!)?.[1];
    const detailed = kind === 'ACL ' || /^- LARGE OBJECT/.test(rest!);
    return `${kind}${detailed ? (on ?? '') : ''}`.trim();
  });
  return [...new Set(kinds)].sort();
}

let tokens = 100;
export const nextFence = (): Fence => ({ target: 'shop/production', token: (tokens += 1) });

/** Backs it up, drills it, restores it beside and swaps it in; drops the former one. The reports of both validations. */
export async function passThrough(
  pg: TestPostgres,
  db: TestDatabase,
): Promise<{ drilled: ValidationReport; restored: ValidationReport }> {
  const { deps, place } = db;
  const fence = nextFence();
  const scratch = `torture-${process.pid}-${db.name}`;
  const backupId = 'b1';
  const { writeCanary } = createCanaryActivities(deps);
  await runActivity(writeCanary, { database: db.ref, id: 'canary', fence });
  await runActivity(createBackupActivities(deps).backUp, { ...place, backupId, fence });
  const { restoreBackup } = createRestoreActivities(deps);
  const { validateRestore } = createValidateActivities(deps);
  const scratches = createScratchActivities(deps);

  const copy: DatabaseRef = { kind: 'scratch', scratch, database: 'restored', of: place };
  let drilled: ValidationReport;
  try {
    await runActivity(scratches.openScratch, { scratch, ...place, backupId });
    const { role } = await runActivity(restoreBackup, {
      ...{ ...place, backupId, into: copy, fence: null, liveRights: true },
    });
    drilled = await runActivity(validateRestore, {
      ...{ ...place, backupId, database: copy },
      ...(role === undefined ? {} : { role }),
    });
  } finally {
    await runActivity(scratches.dropScratch, { scratch });
  }

  const names = { restored: `${db.name}_restored`, previous: `${db.name}_previous` };
  const beside = { ...db.ref, database: names.restored } as DatabaseRef;
  await runActivity(restoreBackup, { ...place, backupId, into: beside, fence });
  const restored = await runActivity(validateRestore, { ...place, backupId, database: beside });
  await runActivity(createSwapActivities(deps).swapDatabases, { ...place, ...names, fence });
  // No restore brings a subscription back, and a database with one cannot be dropped.
  const previous = pg.urlOf(names.previous);
  for (const { name } of await runSql<{ name: string }>(
    previous,
    `SELECT subname AS name FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database()`,
  ))
    await runSql(previous, `DROP SUBSCRIPTION ${name}`);
  await runSql(pg.urlOf('postgres'), `DROP DATABASE ${names.previous} WITH (FORCE)`);
  return { drilled, restored };
}

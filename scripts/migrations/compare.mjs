// Applies a folder of migrations with migrateDatabase, in batches with rows in between, to a database of its own, and the same
// files with plain `psql -f` to another one, and compares what came out: `node scripts/migrations/compare.mjs <folder> [layout]`.
// A down script that is found to be wrong is named, set aside, and the batch begins again. Where the folder has a wrong.json
// (see write-set.mjs), exactly those must be found. Exit 1 where anything differs. Run `npm run build` first.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const BATCH = 25;
const ROWS = 20;

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const require = createRequire(import.meta.url);
const load = (path) => require(join(root, 'dist/src', path));
const { startPostgres } = load('host/postgres.js');
const { startTemporal } = load('local/temporal.js');
const { loadProject } = load('check/load-project.js');
const { startWorker } = load('worker/worker.js');
const { openMigrations } = load('activities/postgres/migrations/script-files.js');
const { Client, Connection } = require('@temporalio/client');
const { DefaultLogger, Runtime } = require('@temporalio/worker');
const { Client: Postgres } = require('pg');

const [source, layout = 'flat'] = process.argv.slice(2);
if (source === undefined) throw new Error('Say which folder: compare.mjs <folder> [layout]');
Runtime.install({ logger: new DefaultLogger('ERROR') });

const directory = mkdtempSync(join(tmpdir(), 'migrations-'));
// The unprivileged user that runs PostgreSQL must get through.
chmodSync(directory, 0o755);
for (const name of ['postgres', 'temporal']) mkdirSync(join(directory, name));
const files = join(directory, 'migrations');
cpSync(resolve(source), files, { recursive: true });
const expected = existsSync(join(files, 'wrong.json'))
  ? JSON.parse(readFileSync(join(files, 'wrong.json'), 'utf8'))
  : undefined;
rmSync(join(files, 'wrong.json'), { force: true });

const stops = [];
try {
  const postgres = await startPostgres({ directory: join(directory, 'postgres') });
  stops.push(() => postgres.stop());
  const temporal = await startTemporal({ directory: join(directory, 'temporal'), ephemeral: true });
  stops.push(() => temporal.stop());
  const urlOf = (database) => postgres.url.replace(/\/postgres$/, `/${database}`);
  for (const name of ['by_runbook', 'by_psql']) await query('postgres', `CREATE DATABASE ${name}`);
  const [{ id }] = await query('by_runbook', 'SELECT system_identifier::text AS id FROM pg_control_system()');
  const config = loadProject(writeConfig(temporal, urlOf, id));
  const worker = await startWorker(config);
  stops.push(() => worker.stop());
  const connection = await Connection.connect({ address: temporal.address });
  stops.push(() => connection.close());
  const client = new Client({ connection });

  const { found, applied } = await migrate(client);
  for (const file of applied) {
    execFileSync(join(postgres.binDirectory, 'psql'), [
      '-qX',
      '-v',
      'ON_ERROR_STOP=1',
      '-f',
      file,
      urlOf('by_psql'),
    ]);
  }
  process.exitCode = report(
    found,
    await schemaOf(postgres, urlOf('by_runbook')),
    await schemaOf(postgres, urlOf('by_psql')),
  );

  async function query(database, sql) {
    const one = new Postgres({ connectionString: urlOf(database) });
    one.on('error', () => undefined);
    await one.connect();
    try {
      return (await one.query(sql)).rows;
    } finally {
      await one.end();
    }
  }

  /** Applies everything that is pending, batch by batch. */
  async function migrate(client) {
    const found = {};
    const applied = [];
    let accept = [];
    for (let number = 1; ; number += 1) {
      const batch = await pendingOf(client, number);
      if (batch.length === 0) return { found, applied };
      const { summary, plan, refused } = await run(client, `batch-${number}`, {
        files: batch.map(({ name }) => name),
        accept,
        staging: 'none',
      });
      if (refused !== undefined) {
        const json = /as input: (\{.*\})/.exec(refused)?.[1];
        const wrong = /The down script of (\S+) leads back: (.*)/.exec(refused);
        if (json !== undefined) accept = JSON.parse(json).accept;
        else if (wrong !== null) setAside(wrong[1], wrong[2]);
        else throw new Error(`batch ${number}: ${refused}`);
        continue;
      }
      for (const { action, detail } of plan.actions) {
        const why = /way back: restore, which asks: (its down script .*)/.exec(detail ?? '')?.[1];
        if (why !== undefined) found[action.replace('apply ', '')] = why;
      }
      for (const warning of plan.warnings) {
        const left = /^the down script of (\S+) leaves (.*)/.exec(warning);
        if (left !== null) found[left[1]] = warning;
      }
      applied.push(...batch.map(({ up }) => join(files, up)));
      console.log(`${applied.length} applied: ${summary.slice(-60)}`);
      await addRows();
    }

    function setAside(name, why) {
      found[name] = why;
      const down = join(files, openMigrations({ config }, 'app').entry(name).down);
      renameSync(down, join(directory, `${Object.keys(found).length}.wrong`));
      console.log(`${name}: ${why}`);
    }
  }

  async function pendingOf() {
    const there = await query(
      'by_runbook',
      `SELECT to_regclass('durable_runbooks.ledger') IS NOT NULL AS there`,
    );
    const done = there[0].there
      ? await query(
          'by_runbook',
          `SELECT DISTINCT migration FROM durable_runbooks.ledger WHERE status = 'finished' AND statement = 0`,
        )
      : [];
    const names = new Set(done.map(({ migration }) => migration));
    const pending = openMigrations({ config }, 'app').migrations.filter(({ name }) => !names.has(name));
    // One without a way back keeps those before it from being undone: it goes alone.
    const alone = pending.findIndex(({ down }) => down === undefined);
    return pending.slice(0, alone < 0 ? BATCH : Math.min(BATCH, Math.max(1, alone)));
  }

  /** Runs one batch; says yes to everything that is asked. */
  async function run(client, workflowId, input) {
    const handle = await client.workflow.start('migrateDatabase', {
      taskQueue: config.temporal.taskQueue,
      workflowId: `migrateDatabase/app/${workflowId}-${Date.now()}`,
      args: [{ service: 'app', startedBy: 'compare', mode: 'propose', ...input }],
    });
    const answered = new Set();
    for (;;) {
      const status = await handle.query('status').catch(() => undefined);
      if (status?.outcome !== undefined) break;
      const open = status?.waiting.find(({ id }) => !answered.has(id));
      if (open !== undefined) {
        answered.add(open.id);
        const { name, argument } = open.update;
        await handle.executeUpdate(name, {
          args: [{ ...argument, by: 'compare', ...(open.choices ? { choice: open.choices[0] } : {}) }],
        });
      }
      await new Promise((done) => setTimeout(done, 100));
    }
    const { plan, outcome, summary } = await handle.query('status');
    return outcome === 'SUCCEEDED' ? { plan, summary } : { plan, summary, refused: `${outcome}: ${summary}` };
  }

  /** Rows in every table that takes them; the same in both databases would prove no more. */
  async function addRows() {
    for (const n of [1, 2, 3, 4])
      await query(
        'by_runbook',
        `INSERT INTO t${n} (id, name, note)
         SELECT (SELECT coalesce(max(id), 0) FROM t${n} WHERE id < 900000) + i, 'row ' || i, 'note ' || i
           FROM generate_series(1, ${ROWS}) AS i`,
      ).catch(() => undefined);
  }
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  for (const stop of stops.reverse()) await stop().catch(() => undefined);
  rmSync(directory, { recursive: true, force: true });
}
process.exit(process.exitCode ?? 0);

function writeConfig(temporal, urlOf, systemIdentifier) {
  const file = join(directory, 'runbooks.yaml');
  writeFileSync(
    file,
    `temporal: { address: '${temporal.address}' }
worker: { listen: '127.0.0.1:0' }
services:
  app:
    mode: propose
    migrations: { directory: migrations, layout: ${layout} }
    backups: { directory: backups, keep: 3 }
    environments:
      production:
        database:
          url: ${urlOf('by_runbook')}
          identity: { systemIdentifier: '${systemIdentifier}', database: by_runbook }
`,
  );
  return file;
}

/** What pg_dump says of it, without our own. */
async function schemaOf(postgres, url) {
  const text = execFileSync(
    join(postgres.binDirectory, 'pg_dump'),
    ['--schema-only', '--no-owner', '--exclude-schema=durable_runbooks', url],
    { encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  return text
    .split('\n')
    .filter((line) => line !== '' && !/^(--|SET |SELECT pg_catalog|\\(un)?restrict)/.test(line));
}

/** Constants that were taken down at the moment of their making differ. */
function report(found, ours, plain) {
  const timeless = (line) => line.replaceAll(/'\d{4}-\d\d-\d\d[^']*'/g, "'…'");
  const differences = [
    ...ours
      .filter((line) => !plain.map(timeless).includes(timeless(line)))
      .map((line) => `only by the runbook: ${line}`),
    ...plain
      .filter((line) => !ours.map(timeless).includes(timeless(line)))
      .map((line) => `only by psql: ${line}`),
  ];
  console.log(`\n${differences.length} differences between the schemas`);
  for (const line of differences.slice(0, 20)) console.log(`  ${line}`);
  console.log(`${Object.keys(found).length} down scripts do not lead back`);
  for (const [name, why] of Object.entries(found)) console.log(`  ${name}: ${why}`);
  if (expected === undefined) return differences.length === 0 ? 0 : 1;
  const missed = Object.keys(expected).filter((name) => !(name in found));
  const falsely = Object.keys(found).filter((name) => !(name in expected));
  for (const name of missed) console.log(`NOT FOUND: ${name} (${expected[name]})`);
  for (const name of falsely) console.log(`FALSELY FOUND: ${name}: ${found[name]}`);
  return differences.length + missed.length + falsely.length === 0 ? 0 : 1;
}

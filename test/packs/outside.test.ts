import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { RunReport } from '../../src/contract/report';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../support/postgres';
import { filesOf, procedures, type PlainPack } from './packs';
import { createSite, type Site } from './site';

jest.setTimeout(300_000);

let site: Site;
let postgres: TestPostgres;
let database: TestDatabase;
let temporal: LocalTemporal;
beforeAll(async () => {
  [site, postgres] = await Promise.all([createSite(), startTestPostgres()]);
  database = await postgres.fresh();
  mkdirSync(join(site.directory, 'temporal'));
  temporal = await startTemporal({ directory: join(site.directory, 'temporal'), ephemeral: true });
});
afterAll(async () => {
  await temporal?.stop();
  await postgres?.stop();
  site?.remove();
});

const add = (folder: string, files: Record<string, string>): void => {
  for (const [file, text] of Object.entries(files)) site.write(join(folder, file), text);
};
const node = (script: string) => ({ run: [process.execPath, '-e', script] });
/** A configuration with these packs, under a name of its own. */
const configure = (file: string, packs: string[], environment: object = {}): void => {
  const { services } = database.deps.config;
  const { database: there } = services['shop']!.environments['production']!;
  site.write('url', database.url);
  site.write(
    file,
    JSON.stringify({
      packs,
      temporal: { address: temporal.address },
      services: { shop: { mode: 'auto', environments: { production: { database: there, ...environment } } } },
    }),
  );
};
const LAST_RUN = 'last-run';
const cron = {
  lastRun: node(`console.log(require('fs').readFileSync('${LAST_RUN}', 'utf8'))`),
  run: node(`require('fs').writeFileSync('${LAST_RUN}', new Date().toISOString())`),
};

describe('a pack that `runbooks pack init` wrote, outside of this repository', () => {
  it('builds, lints and passes its tests, as its scripts say', async () => {
    const { output } = await site.runbooks('pack', 'init', 'cron', '--name', '@acme/cron');
    expect(output).toContain('cron/src/rerun-job.ts');
    for (const script of ['build', 'lint', 'test']) {
      const done = await site.exec('npm', ['run', '--silent', script], 'cron');
      expect([script, done.code, done.code === 0 ? '' : done.output]).toEqual([script, 0, '']);
    }
    expect((await site.runbooks('pack', 'init', 'cron')).output).toMatch(/cron is not empty, so nothing/);
  });

  it('is bundled beside another pack, an ESM package', async () => {
    add('node_modules/@acme/greetings', filesOf({ name: 'greetings', cards: ['greet'], esm: true }));
    configure('runbooks.yaml', ['./cron', '@acme/greetings'], { cron });
    const built = await site.runbooks('build');
    expect([built.code, built.output]).toEqual([
      0,
      expect.stringMatching(/cron +rerunJob\ngreetings +greet\n/),
    ]);
    const started = await site.runbooks('start', 'rerunJob', '--help');
    expect(started.output).toContain('--job <text>');
    const { output } = await site.runbooks('schema');
    expect(output).toContain('older than this: the job has stopped');
  });

  it('has its section checked like every other, with the path of what is wrong', async () => {
    configure('bad-section.yaml', ['./cron'], { cron: { ...cron, maxAgeMinutes: 'ten', often: true } });
    const { code, output } = await site.runbooks('--config', 'bad-section.yaml', 'build');
    expect(code).toBe(2);
    expect(output).toMatch(
      /services\.shop\.environments\.production\.cron\.maxAgeMinutes: got another text, wanted a number/,
    );
    expect(output).toMatch(
      /services\.shop\.environments\.production\.cron\.often: got a field that does not exist here/,
    );
  });

  it('runs on a worker when it is started as the Temporal UI would, and its fence is in the database', async () => {
    writeFileSync(join(site.directory, LAST_RUN), '2026-01-01T00:00:00Z');
    const report = await withWorker((client) => start(client, 'rerunJob', { service: 'shop' }));
    expect([report.outcome, report.timeline.at(-1)?.title]).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    expect(Date.parse(readFileSync(join(site.directory, LAST_RUN), 'utf8'))).toBeGreaterThan(
      Date.now() - 60_000,
    );
    const fences = await database.query('SELECT target, token FROM durable_runbooks.fence');
    expect(fences).toEqual([{ target: 'shop/production', token: expect.any(String) }]);
    const other = await withWorker((client) => start(client, 'greet', { service: 'shop' }));
    expect(other.outcome).toBe('SUCCEEDED');
  });

  it('replays, and no longer once its procedure does something else', async () => {
    const same = await site.runbooks('replay', '--from', 'default');
    expect([same.code, same.output]).toEqual([0, expect.stringMatching(/same +rerunJob/)]);
    expect(same.output).toMatch(/same +guard/);
    const file = join(site.directory, 'cron/dist/rerun-job.js');
    const code = readFileSync(file, 'utf8');
    // The bundle is stale now, and is built again by itself.
    writeFileSync(file, code.replace('act.runCronJob(', 'act.runItTwice('));
    const other = await site.runbooks('replay');
    writeFileSync(file, code);
    expect([other.code, other.output]).toEqual([
      1,
      expect.stringMatching(/DIFFERS +rerunJob [^]*runItTwice/),
    ]);
  });

  it('is missed by name where a history needs it', async () => {
    configure('without.yaml', []);
    const { code, output } = await site.runbooks('--config', 'without.yaml', 'replay');
    expect([code, output.replace(/\s+/g, ' ')]).toEqual([
      1,
      expect.stringMatching(/UNKNOWN rerunJob .*no pack here has a workflow rerunJob/),
    ]);
  });
});

/** Runs `body` while a worker of the site runs. */
async function withWorker<T>(body: (client: Client) => Promise<T>): Promise<T> {
  const worker = site.spawn('worker');
  let said = '';
  for (const stream of [worker.stdout!, worker.stderr!])
    stream.on('data', (text: Buffer) => (said += text.toString()));
  const ended = new Promise<void>((done) => worker.once('close', () => done()));
  const connection = await Connection.connect({ address: temporal.address });
  try {
    return await Promise.race([
      body(new Client({ connection })),
      ended.then((): never => {
        throw new Error(`the worker has ended: ${said}`);
      }),
    ]);
  } finally {
    worker.kill('SIGTERM');
    await ended;
    await connection.close();
  }
}

async function start(client: Client, type: string, input: object): Promise<RunReport> {
  const options = { workflowId: `${type}/shop/by-hand`, taskQueue: 'runbooks', args: [input] };
  return (await client.workflow.execute(type, options)) as RunReport;
}

describe('from outside', () => {
  it('there is no way in but the doors', async () => {
    const of = (name: string) =>
      site.exec(process.execPath, ['-e', `console.log(Object.keys(require('${name}')).join())`]);
    expect((await of('durable-runbooks/dist/src/workflows/kit/runbook')).output).toContain(
      'ERR_PACKAGE_PATH_NOT_EXPORTED',
    );
    expect((await of('durable-runbooks')).output).toMatch(/card.*definePack/);
    expect((await of('durable-runbooks/workflow')).output).toMatch(/runbook/);
    expect((await of('durable-runbooks/activity')).output).toMatch(/askJson.*underFence/);
    expect((await of('durable-runbooks/worker')).output).toMatch(/startWorker/);
    expect((await of('durable-runbooks/testing')).output).toMatch(/startTestEnvironment/);
    expect((await of('durable-runbooks/runbooks.schema.json')).output).toContain('properties');
  });
});

describe('a pack is refused', () => {
  let count = 0;
  const refusal = async (
    packs: (PlainPack | string)[],
    prepare?: (folder: string) => void,
  ): Promise<string> => {
    count += 1;
    const names = packs.map((pack, index) => {
      if (typeof pack === 'string') return pack;
      const folder = `bad-${count}-${index}`;
      add(folder, filesOf(pack));
      prepare?.(folder);
      return `./${folder}`;
    });
    configure(`bad-${count}.yaml`, names);
    const { code, output } = await site.runbooks('--config', `bad-${count}.yaml`, 'build');
    expect([code, output]).toEqual([2, expect.any(String)]);
    return output;
  };

  it.each<[string, (PlainPack | string)[], RegExp]>([
    [
      'that is not installed',
      ['@acme/nothing'],
      /packs\.0: "@acme\/nothing" cannot be loaded: it is not installed here\. Run npm install @acme\/nothing/,
    ],
    [
      'that was not built',
      ['./nowhere'],
      /packs\.0: "\.\/nowhere" cannot be loaded: there is no \/.*nowhere/,
    ],
    [
      'that throws',
      [{ settings: 'z.nothing()' }],
      /packs\.0: "\.\/bad-\d+-0" cannot be loaded: z\.nothing is not a function/,
    ],
    [
      'with the name of a runbook that is there',
      [{ cards: ['migrateDatabase'] }],
      /two runbooks are called "migrateDatabase": of pack database and of pack plain/,
    ],
    [
      'with the name of a pack that is there',
      [{ cards: ['a'] }, { cards: ['b'] }],
      /two packs are called "plain"/,
    ],
    [
      'with a section that is there',
      [{ settings: '{ service: z.object({ mode: z.string() }) }' }],
      /pack plain declares services\.<name>\.mode, which every configuration has/,
    ],
    [
      'with a section of another pack',
      [{ settings: '{ service: z.object({ incident: z.string() }) }' }],
      /services\.<name>\.incident is declared by pack incidents and by pack plain/,
    ],
    [
      'with the name of an activity that is there',
      [{ activities: 'announce: async () => 1' }],
      /two activities are called "announce": of pack platform and of pack plain/,
    ],
  ])('%s', async (_, packs, message) => {
    expect(await refusal(packs)).toMatch(message);
  });

  it('with copies of its own of what must be there once', async () => {
    const output = await refusal([{}], (folder) => {
      for (const name of ['durable-runbooks', '@temporalio/workflow'])
        site.write(
          join(folder, 'node_modules', name, 'package.json'),
          JSON.stringify({ name, main: 'index.js' }),
        );
      site.write(
        join(folder, 'node_modules/durable-runbooks/index.js'),
        "module.exports = require('../../../node_modules/durable-runbooks/dist/src/doors/pack')",
      );
    });
    for (const name of ['@temporalio/workflow', 'durable-runbooks'])
      expect(output).toMatch(
        new RegExp(`pack plain has a copy of ${name} of its own .*optional peerDependency.*install again`),
      );
  });

  it('whose workflows reach out of the sandbox, by file and import', async () => {
    const output = await refusal(
      [{ workflows: `require('node:fs');\nrequire('./activities');\n${procedures('greet')}` }],
      (folder) => site.write(join(folder, 'activities.js'), "require('durable-runbooks/activity');\n"),
    );
    expect(output).toMatch(/^bad-\d+-0\/workflows\.cjs imports `node:fs`: a workflow runs in a sandbox/m);
    expect(output).toMatch(
      /^bad-\d+-0\/workflows\.cjs imports `durable-runbooks\/activity`, by way of bad-\d+-0\/activities\.js: .*import type/m,
    );
  });

  it('with a card or a procedure that stands alone, or under another name, or twice', async () => {
    const output = await refusal([
      { cards: ['greet', 'wave'], workflows: `${procedures('greet', 'bow')}exports.nod = exports.bow;` },
      { name: 'second', cards: [], workflows: procedures('greet'), activities: '' },
    ]);
    expect(output).toMatch(
      /^pack plain: the card wave has no procedure: .*workflows\.cjs exports greet, bow, nod$/m,
    );
    expect(output).toMatch(/^pack plain: the procedure bow has no card/m);
    expect(output).toMatch(/^two workflows are called "greet": of pack plain and of pack second/m);
  });

  it('whose workflows do not even load', async () => {
    const output = await refusal([{ workflows: `${procedures('greet')}null.oops;` }]);
    expect(output).toMatch(/^pack plain: its workflows cannot be loaded: Cannot read properties of null/m);
  });
});

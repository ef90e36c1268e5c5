import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecurityActivities } from '../../../src/activities/security';
import { containmentSchema } from '../../../src/activities/security/containment-settings';
import { failureOf, runActivity, startTestPostgres, type TestPostgres } from '../../support/postgres';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres({
    template: `CREATE SCHEMA journal; CREATE TABLE journal.events (nr int PRIMARY KEY, happened timestamp, verb text, login text, ip inet, client int);
      INSERT INTO journal.events SELECT n, '2026-01-01'::timestamp + n * interval '1 h', CASE WHEN n <= 6 THEN 'read' ELSE 'export' END,
        'user' || n % 2, ('10.0.0.' || n % 3)::inet, n % 4 FROM generate_series(1, 10) n;`,
  });
});
afterAll(() => pg?.stop());

const sh = (script: string) => ({ run: ['sh', '-c', script] });
const columns = { id: 'nr', at: 'happened', action: 'verb', actor: 'login', address: 'ip', person: 'client' };
const AUDIT = { schema: 'journal', table: 'events', columns };
const WINDOW = { from: '2026-01-01T02:00:00Z', to: '2026-01-01T10:00:00+00:00', addresses: [], actors: [] };
const BLOCK = { does: 'blocks', per: 'address', apply: { command: sh('true') } };

async function fresh(security: object) {
  const db = await pg.fresh();
  const production = db.deps.config.services['shop']!.environments['production'] as Record<string, unknown>;
  production['security'] = containmentSchema.parse(security);
  return { ...createSecurityActivities(db.deps), place: db.place, directory: db.directory, query: db.query };
}

it('counts in the window, by address or actor, in the tables of another application', async () => {
  const { readBreachScope, place } = await fresh({ audit: AUDIT });
  const count = (input: object = {}) => runActivity(readBreachScope, { ...place, ...WINDOW, ...input });
  expect(await count()).toEqual({
    entries: 8,
    people: 4,
    actors: 2,
    addresses: 3,
    actions: [
      { name: 'read', count: 5 },
      { name: 'export', count: 3 },
    ],
    unfiltered: [],
  });
  expect(await count({ addresses: ['10.0.0.1'] })).toMatchObject({ entries: 2, addresses: 1 });
  expect(await count({ addresses: ['10.0.0.1'], actors: ['user0'] })).toMatchObject({ entries: 5 });
});

it('finds an address however it is written', async () => {
  const table = {
    schema: 'journal',
    table: 'hits',
    columns: { id: 'nr', at: 'at', action: 'verb', address: 'ip' },
  };
  const { readBreachScope, place, query } = await fresh({ audit: table });
  await query(
    `CREATE TABLE journal.hits (nr serial PRIMARY KEY, at timestamptz DEFAULT '2026-01-01T05:00:00Z', verb text DEFAULT 'read', ip text);
     INSERT INTO journal.hits (ip) VALUES ('203.0.113.7'), ('::ffff:203.0.113.7'), ('2001:db8::1'), ('203.0.113.8')`,
  );
  for (const type of ['text', 'inet']) {
    await query(`ALTER TABLE journal.hits ALTER ip TYPE ${type} USING ip::${type}`);
    for (const [address, entries] of [
      ['203.0.113.7', 2],
      ['::FFFF:203.0.113.7', 2],
      ['2001:DB8:0:0::1', 1],
    ] as const)
      expect(await runActivity(readBreachScope, { ...place, ...WINDOW, addresses: [address] })).toMatchObject(
        { entries },
      );
  }
});

it('says what it cannot tell, and where the tables are others', async () => {
  const { actor: _, address: __, person: ___, ...few } = columns;
  const blind = await fresh({ audit: { ...AUDIT, columns: few } });
  const input = { ...blind.place, ...WINDOW, addresses: ['10.0.0.1'], actors: ['user0'] };
  const found = await runActivity(blind.readBreachScope, input);
  expect(found).toMatchObject({
    entries: 8,
    people: null,
    actors: null,
    unfiltered: ['addresses', 'actors'],
  });
  const wrong = await fresh({ audit: { ...AUDIT, table: 'nothing' } });
  expect(await failureOf(runActivity(wrong.readBreachScope, input))).toMatchObject({
    type: 'MappingInvalid',
  });
  const none = await fresh({});
  expect(await runActivity(none.readBreachScope, input)).toBeNull();
});

it('believes the hash of a place that it cannot read, and says so', async () => {
  const hash = 'a'.repeat(64);
  const { preserveLogs, place } = await fresh({ preserveLogs: sh(`echo "${hash}  s3://logs/$INCIDENT"`) });
  expect(await runActivity(preserveLogs, { ...place, incident: 'i-1' })).toEqual({
    where: 's3://logs/i-1',
    sha256: hash,
    verified: false,
  });
});

it.each([
  ['fails', 'echo a-token; echo a-token >&2; exit 3', 'CommandFailed', 'ended with status 3'],
  ['ends with a secret', 'echo a-token', 'LogsNotPreserved', 'is no file'],
  ['keeps an empty file', 'echo a-token; : > empty; echo empty', 'LogsNotPreserved', 'is empty'],
  [
    'has another hash than the file',
    `echo a-token > log; echo ${'0'.repeat(64)}  log`,
    'LogsNotPreserved',
    'and the command says',
  ],
  [
    'names a signed place',
    `echo "${'a'.repeat(64)}  https://logs/x?sig=a-token"`,
    'LogsNotPreserved',
    'is no',
  ],
])('quotes nothing of a command that preserves logs, and %s', async (_, script, type, said) => {
  const { preserveLogs, place } = await fresh({ preserveLogs: sh(script) });
  const failure = await failureOf(runActivity(preserveLogs, { ...place, incident: 'i-1' }));
  expect(failure).toMatchObject({ type, message: expect.stringContaining(said) });
  expect(JSON.stringify(failure) + (failure as Error).message).not.toContain('a-token');
});

it('asks nobody first about what needs no answer, and warns of what would isolate nothing', async () => {
  const { readContainment, place } = await fresh({
    isolations: { end: BLOCK, stop: { ...BLOCK, per: 'actor', end: { command: sh('true') } } },
  });
  const { isolations, unconfigured } = await runActivity(readContainment, {
    ...place,
    addresses: ['10.0.0.1'],
    actors: ['eve'],
  });
  expect(isolations.map(({ name, asks }) => [name, asks])).toEqual([
    ['stop', false],
    ['end', true],
  ]);
  expect(unconfigured.filter((text) => text.includes('isolates nothing'))).toEqual([]);
  const nobody = await runActivity(readContainment, { ...place, addresses: ['10.0.0.1'], actors: [] });
  expect(nobody.unconfigured).toContainEqual(
    'stop isolates nothing: it is for each actor, and the input names none',
  );
});

it('isolates under the lease, and quotes nothing of what it printed', async () => {
  const { applyIsolation, place, directory } = await fresh({
    isolations: { block: { ...BLOCK, apply: { command: sh('echo a-token; test -e ok') } } },
  });
  const input = (token: number) => ({
    ...place,
    name: 'block',
    who: '10.0.0.1',
    fence: { target: 't', token },
  });
  const failure = await failureOf(runActivity(applyIsolation, input(5)));
  expect(failure).toMatchObject({ type: 'CommandFailed', message: expect.not.stringContaining('a-token') });
  writeFileSync(join(directory, 'ok'), '');
  expect(await runActivity(applyIsolation, input(6))).toEqual({ detail: 'isolate by block 10.0.0.1: done' });
  expect(await failureOf(runActivity(applyIsolation, input(5)))).toMatchObject({ type: 'StaleFencingToken' });
});

it('names each isolation for each address, asks for what has no way back, and refuses unknown names', async () => {
  const { readContainment, place } = await fresh({ isolations: { block: BLOCK } });
  const { isolations } = await runActivity(readContainment, {
    ...place,
    addresses: ['10.0.0.1', '10.0.0.2'],
    actors: [],
  });
  expect(isolations).toEqual([
    expect.objectContaining({ name: 'block', who: '10.0.0.1', reversible: false, asks: true }),
    expect.objectContaining({ name: 'block', who: '10.0.0.2', howToEnd: 'it cannot be taken back' }),
  ]);
  const wanted = { ...place, addresses: [], actors: [], isolate: ['blok'] };
  expect(await failureOf(runActivity(readContainment, wanted))).toMatchObject({ type: 'InvalidInput' });
  const typed = { ...place, addresses: [], actors: [], secrets: ['sesion'] };
  expect(await failureOf(runActivity(readContainment, typed))).toMatchObject({ type: 'InvalidInput' });
});

it('says the exact way to end it, as a shell reads it, and names each once', async () => {
  const end = { command: { ...sh(`echo "it's" > $WHO`), environment: { KEY: '${env:A_KEY}' } } };
  const request = { method: 'POST', url: 'http://wall/{who}', body: { free: '{who}', key: '${env:A_KEY}' } };
  const { readContainment, place } = await fresh({
    isolations: { block: { ...BLOCK, end }, wall: { ...BLOCK, end: { operation: request } } },
  });
  const { isolations } = await runActivity(readContainment, {
    ...place,
    ...{ addresses: ['10.0.0.1', '10.0.0.1'], actors: [], isolate: ['block', 'wall', 'block'] },
  });
  expect(isolations.map(({ howToEnd }) => howToEnd)).toEqual([
    "`WHO=10.0.0.1 RUNBOOKS_SERVICE=shop RUNBOOKS_ENVIRONMENT=production sh -c 'echo \"it'\\''s\" > $WHO'` (with KEY as configured)",
    'POST http://wall/10.0.0.1 with {"free":"10.0.0.1","key":"${env:A_KEY}"}',
  ]);
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import {
  type ConfigError,
  configPath,
  environmentOf,
  salvageTemporal,
  serviceOf,
} from '../../src/config/load';
import { operationSchema } from '../../src/config/http-operation-schema';
import { observeSchema } from '../../src/config/measure-schema';
import { loadProject } from '../../src/check/load-project';
import { resolveSecrets, scrub } from '../../src/config/secrets';
import { PACKAGE_ROOT } from '../../src/config/version';
import { configJsonSchema } from '../../src/config/json-schema';
import { ownConfigSchema } from '../../src/packs/own';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runbooks-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (text: string): string => {
  const file = join(folder, 'runbooks.yaml');
  writeFileSync(file, text);
  return file;
};
const problemsOf = (text: string): string[] => {
  try {
    loadProject(write(text));
  } catch (error) {
    return (error as ConfigError).problems;
  }
  throw new Error('it was accepted');
};

const GOOD = `
services:
  shop:
    environments:
      production:
        database:
          url: \${env:SHOP_URL}
          identity: { systemIdentifier: '7300000000000000001', database: shop }
`;

describe('a configuration', () => {
  it('that is complete gets every default', () => {
    const config = loadProject(write(GOOD));
    expect(serviceOf(config, 'shop')).toMatchObject({
      mode: 'propose',
      migrations: { lockTimeoutMs: 500, directory: 'migrations' },
      approval: { fourEyes: false, expiresAfterMinutes: 240 },
    });
    expect(environmentOf(config, 'shop', 'production').database.url).toBe('${env:SHOP_URL}');
    expect(config.directory).toBe(folder);
  });

  it('has all its problems reported at once, each with its path', () => {
    const problems = problemsOf(`
services:
  Shop: {}
  bakery:
    mode: yolo
    environments:
      staging:
        database: { url: '', identity: { systemIdentifier: abc, database: x } }
    unknown: 1
`);
    expect(problems.length).toBeGreaterThanOrEqual(5);
    expect(problems.join('\n')).toMatch(/services\.bakery\.mode: /);
    expect(problems.join('\n')).toMatch(/systemIdentifier/);
    expect(problems.join('\n')).toMatch(/environment called "production"|unknown/);
  });

  it('says on which line, what was wanted, and what was meant', () => {
    const problems = problemsOf(`
services:
  bakery:
    mode: observ
    appproval: {}
    environments:
      production:
        database:
          url: postgresql://app:never-shown@db/x
          identity: { systemIdentifer: '1', database: x }
        application:
          health: [{ name: a, url: http://x, timeoutMs: soon }]
`);
    expect(problems).toContainEqual(
      'line 4: services.bakery.mode: got "observ", wanted one of: observe, propose, auto; did you mean "observe"?',
    );
    expect(problems).toContainEqual(
      expect.stringMatching(
        /^line 5: services\.bakery\.appproval: got a field that does not exist here, wanted one of: .*; did you mean "approval"\?$/,
      ),
    );
    expect(problems).toContainEqual(
      expect.stringMatching(
        /^line 10: .*identity\.systemIdentifer: .*one of: systemIdentifier, database; did you mean "systemIdentifier"\?$/,
      ),
    );
    // What is missing has no line of its own: the nearest one that there is.
    expect(problems).toContainEqual(
      expect.stringMatching(/^line 10: .*identity\.systemIdentifier: got nothing, wanted text$/),
    );
    // A text may be a secret that stands in the wrong place.
    expect(problems).toContainEqual(
      expect.stringMatching(/^line 12: .*health\.0\.timeoutMs: got another text, wanted a number$/),
    );
  });

  it('must give each approver a key where answers are signed, and no key to two names', () => {
    const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ben@desk';
    const short = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4=';
    const approval = (text: string) => `${GOOD}    approval: ${text}`;
    expect(problemsOf(approval('{ proof: signature }'))).toEqual([
      expect.stringMatching(/approval\.keys: got nothing, wanted the keys of those who answer/),
    ]);
    expect(
      problemsOf(approval(`{ proof: signature, approvers: [Ben, cleo], keys: { ben: [${line}] } }`)),
    ).toEqual([expect.stringMatching(/approvers\.1: got another text, wanted a name with a key under keys/)]);
    expect(problemsOf(approval(`{ keys: { ben: [${line}], cleo: [{ key: ${line} }] } }`))).toEqual([
      expect.stringMatching(/keys\.cleo\.0: a key that is not ben's as well: a key proves one name$/),
    ]);
    for (const [bad, why] of [
      ['ssh-rsa AAAAB3NzaC1yc2E=', 'it must begin with ssh-ed25519'],
      [short, 'it is not the public key'],
      ['ssh-ed25519 not-base64', 'what follows ssh-ed25519 is not base64'],
    ])
      expect(problemsOf(approval(`{ keys: { ben: [${bad}] } }`)).join()).toContain(why);
    expect(problemsOf(approval(`{ keys: { ben: [{ key: ${line}, expires: soon }] } }`)).join()).toContain(
      'expires',
    );
    expect(
      loadProject(
        write(approval(`{ proof: signature, keys: { ben: [{ key: ${line}, expires: 2027-01-31 }] } }`)),
      ),
    ).toBeDefined();
  });

  it('repeats no text that may be a secret', () => {
    const problems = problemsOf(`${GOOD}
    notify: [{ kind: slack, name: [x], webhookUrl: { hook: 's3cret-hook' } }, 'another-s3cret']
    approval: 'third-s3cret'
`);
    expect(problems.length).toBeGreaterThanOrEqual(3);
    expect(problems.join('\n')).not.toContain('s3cret');
  });

  it('must not name a channel that is not there, nor give one name to two', () => {
    const problems = problemsOf(`${GOOD}
    notify:
      - { kind: slack, name: ops, webhookUrl: x, fallback: fax }
      - { kind: slack, name: ops, webhookUrl: y }
    escalation: [{ name: lead, notify: [pager] }]
`);
    expect(problems).toEqual([
      'line 10: services.shop.notify: two channels are called "ops"; a name must be its own',
      'line 11: services.shop.notify.ops.fallback: no channel "fax"; known: ops, ops',
      'line 13: services.shop.escalation.lead: no channel "pager"; known: ops, ops',
    ]);
  });

  it('that is no YAML names the line', () => {
    expect(problemsOf('services:\n  shop: [unclosed\n').join()).toMatch(/line \d+: /);
  });

  it('that does not exist says how to make one', () => {
    expect(() => loadProject(join(folder, 'nowhere.yaml'))).toThrow(/runbooks init/);
  });

  it('names the known services when one is unknown', () => {
    expect(() => serviceOf(loadProject(write(GOOD)), 'bakery')).toThrow(
      'unknown service "bakery". Known: shop.',
    );
  });

  it('is looked for in RUNBOOKS_CONFIG, and here where that is empty', () => {
    process.env['RUNBOOKS_CONFIG'] = '';
    expect(configPath()).toBe(join(process.cwd(), 'runbooks.yaml'));
    process.env['RUNBOOKS_CONFIG'] = '/elsewhere/runbooks.yaml';
    expect(configPath()).toBe('/elsewhere/runbooks.yaml');
    delete process.env['RUNBOOKS_CONFIG'];
  });

  it('has a JSON Schema for editors, and the committed one is that of today', () => {
    const committed = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'runbooks.schema.json'), 'utf8')) as unknown;
    expect(JSON.parse(JSON.stringify(configJsonSchema(ownConfigSchema)))).toEqual(committed);
  });
});

describe('secrets', () => {
  it('come from the environment and from files', () => {
    process.env['TEST_SECRET_A'] = 'first-secret-value';
    writeFileSync(join(folder, 'token'), 'second-secret-value\n');
    expect(resolveSecrets('a=${env:TEST_SECRET_A} b=${file:token}', folder)).toBe(
      'a=first-secret-value b=second-secret-value',
    );
  });

  it('that are missing are named, and nothing else is', () => {
    expect(() => resolveSecrets('${env:TEST_SECRET_NOT_SET}', folder)).toThrow(
      /TEST_SECRET_NOT_SET.*not set/,
    );
    expect(() => resolveSecrets('${file:nowhere}', folder)).toThrow(/ENOENT/);
  });

  it('are removed from every text once they were resolved, also percent-encoded ones', () => {
    process.env['TEST_URL'] = 'postgresql://app:p%40ssw0rd-long@db:5432/shop';
    resolveSecrets('${env:TEST_URL}', folder);
    for (const leak of ['p@ssw0rd-long', 'p%40ssw0rd-long', process.env['TEST_URL']]) {
      expect(scrub(`failed with ${leak} today`)).not.toMatch(/ssw0rd/);
    }
  });

  it('in addresses and connection strings are removed even when nobody resolved them', () => {
    expect(scrub('at postgresql://app:unseen-word@db/shop')).toBe('at postgresql://app:***@db/shop');
    expect(scrub("host=db password='with space' dbname=x")).toBe('host=db password=*** dbname=x');
  });
});

describe('a request to others', () => {
  it.each<[z.input<ReturnType<typeof operationSchema>>, string, RegExp]>([
    [{ url: 'http://a/{other}' }, 'url', /only \{job\}, \{count\} in braces, and not \{other\}/],
    [{ url: 'http://{job}.example.com/' }, 'url', /in the path or behind it only/],
    [{ method: 'POST', url: 'http://a', body: { a: ['{b}'] } }, 'body', /not \{b\}/],
    [{ method: 'POST', url: 'http://a', body: {}, form: {} }, 'form', /one of body and form/],
    [{ url: 'http://a', body: {} }, 'method', /may have a body/],
    [{ url: 'http://a', headers: { 'a: b': 'c' } }, 'headers', /no spaces and no colon/],
    [{ url: 'http://a', success: { equals: [true] } }, 'success', /that it is about/],
  ])('%j is refused', (given, path, message) => {
    const { error } = operationSchema(['job', 'count']).safeParse(given);
    expect(error?.issues[0]?.path[0]).toBe(path);
    expect(JSON.stringify(error?.issues)).toMatch(message);
  });
});

describe('a measure', () => {
  it.each<[z.input<typeof observeSchema>['measures'], RegExp]>([
    [{ depth: { sql: 'SELECT 1' } }, /this name has no usual one/],
    [{ depth: { sql: 'SELECT 1', warning: 2, critical: 1 } }, /critical is the highest/],
    [{ depth: { sql: 'SELECT 1', warning: 1, critical: 2, is: 'below' } }, /critical is the lowest/],
    [{ depth: { warning: 1 } }, /one of prometheus, operation, sql, command/],
    [{ depth: { warning: 1, sql: 'SELECT 1', command: { run: ['true'] } } }, /one of prometheus/],
    [{ depth: { warning: 1, prometheus: { query: 'up' } } }, /the server beside it, at observe\.prometheus/],
    [{ depth: { warning: 1, operation: { url: 'http://a/{job}', field: 'a' } } }, /not \{job\}/],
  ])('%j is refused', (measures, message) => {
    expect(observeSchema.safeParse({ measures }).error?.message).toMatch(message);
  });
});

it('a thousand services may share an anchor; what multiplies itself, or is not there, is a problem with a sentence', () => {
  const shared = GOOD.replace('shop:', 'shop: &one');
  const more = Array.from({ length: 1_000 }, (_, index) => `  shop-${index}: *one\n`).join('');
  expect(Object.keys(loadProject(write(`${shared.trimEnd()}\n${more}`)).services)).toHaveLength(1_001);
  expect(problemsOf(`${GOOD}\n  other: *nowhere\n`)[0]).toMatch(/nowhere/);
  const bomb = [
    'a: &a [x]',
    ...['b', 'c', 'd', 'e', 'f', 'g', 'h'].map(
      (name, at) => `${name}: &${name} [${`*${'abcdefg'[at]}, `.repeat(9)}x]`,
    ),
  ];
  expect(problemsOf(bomb.join('\n'))[0]).toMatch(/^anchors and aliases: /);
});

test('of a configuration that cannot be used, each sound field about Temporal counts', () => {
  const codec = (server: string) =>
    `codec: { keys: [{ id: a, secret: '\${env:KEY}' }], server: { ${server} } }`;
  const of = (fields: string) => salvageTemporal(write(`temporal: { ${fields} }\nservices: [`));
  expect(of('address: there:7233, adress: x, taskQueue: 7')).toEqual({
    address: 'there:7233',
    taskQueue: 'runbooks',
  });
  // Its keys read what is there; what serves a browser is no part of that.
  expect(of(`namespace: shop, ${codec('listen: 8081')}`)).toMatchObject({
    namespace: 'shop',
    codec: { keys: [{ id: 'a' }] },
  });
  expect(of(codec('token: abcdefgh'))).toMatchObject({ codec: { server: { token: 'abcdefgh' } } });
  expect(of('codec: { keys: [] }')).toEqual({ taskQueue: 'runbooks' });
  expect(salvageTemporal(write('temporal: text'))).toEqual({ taskQueue: 'runbooks' });
});

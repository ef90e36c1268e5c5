import fc from 'fast-check';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { alertSchema } from '../../src/catalogue/alert-schema';
import { readJson } from '../../src/alerts/read-body';
import { BadAlert, type Headers, type SenderKind } from '../../src/alerts/sender';
import { senders } from '../../src/alerts/senders';
import { headersOfSamples, proofs } from './fuzz-support';
import { genericMapping, samples } from './senders/bodies';
import { delivery, NOW_SECONDS, OPTIONS } from './senders/support';

/** The same bodies every time; a failure names this seed and the path to its smallest body. */
const SEED = 20_261_121;
const RUNS_PER_KIND = 11_200;
const MAX_GROWTH_BYTES = 16 * 1024 * 1024;
const SECRET = 'the-right-secret';

const kinds = Object.keys(senders) as SenderKind[];
let bodies = 0;
let alerts = 0;
let believed = 0;
let heapBefore: number;

const HOSTILE = [
  null,
  true,
  '',
  ' ',
  0,
  -1,
  1e308,
  1.5,
  [],
  {},
  [[]],
  ['x', null],
  '\u0000\u001b[2J',
  '\ud800',
  '__proto__',
  'constructor',
  '{{labels.service}}',
  '${env:HOME}',
  'javascript:alert(1)',
  'https://user:password@example.com/',
  '9999999999999',
  'firing',
  'resolved',
  'x'.repeat(5_000),
  Array.from({ length: 20 }, (_, at) => ({ status: 'firing', fingerprint: String(at) })),
  Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`label-${at}`, 'x'.repeat(20)])),
  JSON.parse('{"__proto__":{"status":"firing"},"constructor":{"prototype":1}}') as object,
];

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'length',
  'alerts',
  'status',
  'labels',
  'data',
  'event',
  'alert',
];

/** One thing done to a body, somewhere in it. */
interface Spoiling {
  where: number;
  how: 'replace' | 'remove' | 'add';
  key: string;
  value: unknown;
}

const spoilings = fc.array(
  fc.record<Spoiling>({
    where: fc.nat(),
    how: fc.constantFrom('replace', 'remove', 'add'),
    key: fc.constantFrom(...KEYS),
    value: fc.constantFrom(...HOSTILE),
  }),
  { minLength: 1, maxLength: 4 },
);

const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ unit: 'binary', maxLength: 12 }));
const anyJson = fc.letrec<{ value: unknown; object: object; list: unknown[] }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' }), fc.double(), fc.integer()),
    tie('object'),
    tie('list'),
  ),
  object: fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map(own),
  list: fc.array(tie('value'), { maxLength: 6 }),
})).value;

/** With `__proto__` as a name like any other, as JSON.parse has it. */
function own(pairs: [string, unknown][]): object {
  return Object.fromEntries(pairs);
}

/** As JSON has it, so that `__proto__` stays a name; a shared value would grow from body to body. */
const clone = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function spoil(body: object, all: Spoiling[]): unknown {
  const root = { body: clone(body) };
  for (const { where, how, key: name, value } of all) {
    const places = placesIn(root);
    // The body itself was removed.
    if (places.length === 0) break;
    const [parent, at] = places[where % places.length]!;
    const inside = parent[at];
    if (how === 'remove') delete parent[at];
    else if (how === 'replace' || typeof inside !== 'object' || inside === null) define(parent, at, value);
    else define(inside as Record<string, unknown>, Array.isArray(inside) ? '0' : name, value);
  }
  return root.body;
}

function define(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    value: clone(value),
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

function placesIn(value: object): [Record<string, unknown>, string][] {
  const here = Object.keys(value).map((at): [Record<string, unknown>, string] => [
    value as Record<string, unknown>,
    at,
  ]);
  return here.flatMap((place) => {
    const inside = place[0][place[1]];
    return typeof inside === 'object' && inside !== null ? [place, ...placesIn(inside)] : [place];
  });
}

const asBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value) ?? '');

/** Bodies for one kind of sender: any JSON, its own bodies spoilt, its bytes damaged, and deep nests. */
function bodiesFor(kind: SenderKind): fc.Arbitrary<Buffer> {
  const real = fc.constantFrom(
    ...samples.filter((sample) => sample.kind === kind).map((sample) => sample.body),
  );
  const spoilt = fc.tuple(real, spoilings).map(([body, all]) => asBytes(spoil(body, all)));
  const damaged = fc
    .tuple(
      fc.oneof(real.map(asBytes), spoilt),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    )
    .map(([bytes, all]) => {
      const copy = Buffer.from(bytes);
      for (const [where, byte] of all) copy[where % Math.max(1, copy.length)] = byte;
      return copy;
    });
  const nest = fc
    .tuple(fc.constantFrom('[', '{"alerts":', '{"data":['), fc.integer({ min: 1, max: 5_000 }))
    .map(([opening, depth]) => Buffer.from(opening.repeat(depth)));
  const noise = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof(
    { weight: 6, arbitrary: spoilt },
    { weight: 3, arbitrary: anyJson.map(asBytes) },
    { weight: 3, arbitrary: damaged },
    { weight: 1, arbitrary: noise },
    { weight: 1, arbitrary: nest },
    { weight: 1, arbitrary: real.map(asBytes) },
  );
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Verifies as the intake does; whatever a header says, only the right secret is believed. */
function verify(kind: SenderKind, body: Buffer, right: boolean, noise: Headers, which: number): void {
  const ways = proofs[kind];
  const { auth, prove } = ways[which % ways.length]!;
  const proof = prove(right ? SECRET : `${SECRET}.`, body, NOW_SECONDS);
  const verified = senders[kind].verify(delivery(body, { ...noise, ...proof }), auth([SECRET]), OPTIONS);
  if (verified.ok !== right) throw new Error(`${right ? 'not ' : ''}believed: ${JSON.stringify(verified)}`);
  const forged = senders[kind].verify(delivery(body, noise), auth([SECRET]), OPTIONS);
  if (forged.ok) throw new Error('believed without a proof');
  if (right) believed++;
}

/** Parses whatever it is, also what would not have been believed. */
function parse(kind: SenderKind, body: Buffer, headers: Headers): void {
  try {
    const parsed = senders[kind].parse(readJson(body), headers, {
      source: 'monitoring',
      mapping: genericMapping,
    });
    for (const alert of parsed) {
      alertSchema.parse(alert);
      alerts++;
    }
  } catch (error) {
    if (!(error instanceof BadAlert)) throw error;
    if (error.message.length > 2_000) throw new Error(`a message of ${error.message.length} characters`);
  }
}

describe('whatever comes, of every kind of source', () => {
  beforeAll(() => {
    // What is compiled and cached on first use is no leak.
    for (const { kind, body, headers } of samples) parse(kind, asBytes(body), headers);
    collectGarbage();
    heapBefore = process.memoryUsage().heapUsed;
  });

  it.each(kinds)('%s: refused as a bad alert, or read to the normal form', (kind) => {
    const property = fc.property(
      bodiesFor(kind),
      headersOfSamples(kind),
      fc.boolean(),
      fc.nat(),
      (body, headers, right, which) => {
        bodies++;
        verify(kind, body, right, headers, which);
        parse(kind, body, headers);
      },
    );
    fc.assert(property, { seed: SEED, numRuns: RUNS_PER_KIND, endOnFailure: false });
  });

  it('was at least 100,000 bodies, many of them alerts, and memory stayed flat', () => {
    expect(bodies).toBeGreaterThanOrEqual(100_000);
    expect(believed).toBeGreaterThan(40_000);
    // A fuzz in which everything is refused at the door would show nothing.
    expect(alerts).toBeGreaterThan(20_000);
    collectGarbage();
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(MAX_GROWTH_BYTES);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { statementBytes, type SignerKey, type Statement } from '../../../src/contract/answer';
import { CLOCK_SKEW_MS, refuseProof, SIGNATURE_AGE_MS, type Signed } from '../../../src/workflows/kit/proof';

// Ten thousand verifications in JavaScript take half a minute: Node's own takes most, and both must say the same.
jest.mock('@noble/curves/ed25519', () => {
  const crypto = jest.requireActual<typeof import('node:crypto')>('node:crypto');
  const { ed25519 } = jest.requireActual<typeof import('@noble/curves/ed25519')>('@noble/curves/ed25519');
  let calls = 0;
  const verify: typeof ed25519.verify = (signature, message, publicKey, options) => {
    const x = Buffer.from(publicKey as string, 'hex').toString('base64url');
    const key = crypto.createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const said = crypto.verify(null, message as Uint8Array, key, Buffer.from(signature as string, 'hex'));
    if ((calls += 1) % 25 === 0 && ed25519.verify(signature, message, publicKey, options) !== said)
      throw new Error(`Node says ${said}, and the library does not`);
    return said;
  };
  return { ed25519: { verify } };
});

const NOW = Date.parse('2026-11-22T03:00:00.000Z');
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const SEED = 20_261_122;
const FORGERIES = 10_000;

interface Person {
  key: SignerKey;
  secret: KeyObject;
}

function person(name: string, expiresAt?: string): Person {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
  const key = { name, fingerprint: `SHA256:${randomUUID()}`, publicKey: raw };
  return { secret: privateKey, key: expiresAt === undefined ? key : { ...key, expiresAt } };
}

const ben = person('ben');
const cleo = person('cleo');
const stale = person('ben', new Date(NOW - 1).toISOString());
const people = [ben, cleo, stale];

/** Reproducible numbers below `limit`: mulberry32. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}
const random = numbers(SEED);

const text = (): string =>
  Array.from({ length: 1 + random(12) }, () => String.fromCodePoint(33 + random(400))).join('');

function signed(said: Partial<Statement> = {}, by: Person = ben): Signed {
  const signedAt = new Date(NOW - random(SIGNATURE_AGE_MS)).toISOString();
  const statement: Statement = {
    namespace: text(),
    workflowId: text(),
    runId: randomUUID(),
    verb: 'decide',
    subject: text(),
    choice: text(),
    note: text(),
    by: by.key.name,
    signedAt,
    ...said,
  };
  const signature = sign(null, statementBytes(statement), by.secret).toString('hex');
  const { signedAt: at, ...rest } = statement;
  const words = { key: by.key.fingerprint, signedAt: at, signature };
  return { said: rest, words, keys: people.map(({ key }) => key), taken: new Set(), nowMs: NOW };
}

function flipText(value: string): string {
  const at = random(value.length);
  return (
    value.slice(0, at) + String.fromCharCode(value.charCodeAt(at) ^ (1 << random(8))) + value.slice(at + 1)
  );
}

function flipHex(value: string): string {
  const bytes = Buffer.from(value, 'hex');
  const at = random(bytes.length);
  bytes[at] = bytes[at]! ^ (1 << random(8));
  return bytes.toString('hex');
}

const withWords = (one: Signed, words: Record<string, string>): Signed => ({
  ...one,
  words: { ...one.words, ...words },
});
const saying = (one: Signed, said: Partial<Signed['said']>): Signed => ({
  ...one,
  said: { ...one.said, ...said },
});

/** The same signature with S + L: the equation still holds for it. */
function malleable(signature: string): string {
  const s = BigInt(`0x${Buffer.from(signature.slice(64), 'hex').reverse().toString('hex')}`) + ORDER;
  return (
    signature.slice(0, 64) + Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse().toString('hex')
  );
}

type Field = keyof Signed['said'];
const fields: Field[] = ['namespace', 'workflowId', 'runId', 'verb', 'subject', 'choice', 'note'];

const wrong = /the signature does not hold/;
/** Each makes a forgery of a signed answer, and knows why it is refused. */
const forgeries: Record<string, [RegExp, (one: Signed) => Signed]> = {
  'a bit of a field': [
    wrong,
    (one) => {
      const field = fields[random(fields.length)]!;
      return saying(one, { [field]: flipText(one.said[field]!) });
    },
  ],
  'a bit of the signature': [wrong, (one) => withWords(one, { signature: flipHex(one.words['signature']!) })],
  'a bit of the public key': [
    wrong,
    (one) => ({ ...one, keys: one.keys.map((key) => ({ ...key, publicKey: flipHex(key.publicKey) })) }),
  ],
  'a bit of the fingerprint': [
    /this run knows no key/,
    (one) => withWords(one, { key: flipText(one.words['key']!) }),
  ],
  'another time that is fresh': [
    wrong,
    (one) => {
      const other = NOW - ((NOW - Date.parse(one.words['signedAt']!) + 1 + random(1_000)) % SIGNATURE_AGE_MS);
      return withWords(one, { signedAt: new Date(other).toISOString() });
    },
  ],
  'the same time, written otherwise': [
    /"signedAt" must be a time/,
    (one) => withWords(one, { signedAt: one.words['signedAt']!.replace('Z', '+00:00') }),
  ],
  'the signature of another run': [
    wrong,
    (one) => withWords(one, { ...signed({ ...one.said, runId: randomUUID() }).words }),
  ],
  'of another answer of the same run': [
    wrong,
    (one) => withWords(one, signed({ ...one.said, subject: text() }).words),
  ],
  'of the opposite': [wrong, (one) => withWords(one, signed({ ...one.said, verb: 'reject' }).words)],
  'text moved from one field into the next': [
    wrong,
    (one) =>
      saying(one, {
        subject: `${one.said.subject}${one.said.choice![0]}`,
        choice: one.said.choice!.slice(1),
      }),
  ],
  'choice and note exchanged': [
    wrong,
    (one) => saying(one, { choice: `${one.said.note}`, note: `${one.said.choice}.` }),
  ],
  'a field left out': [
    wrong,
    (one) => saying(one, random(2) === 0 ? { note: undefined } : { choice: undefined }),
  ],
  "somebody else's key": [
    /is cleo's and not ben's/,
    (one) => withWords(one, signed({ ...one.said, by: 'ben' }, cleo).words),
  ],
  "somebody else's signature under one's own key": [
    wrong,
    (one) => withWords(one, { ...signed(one.said, cleo).words, key: ben.key.fingerprint }),
  ],
  'an expired key': [/expired at/, (one) => withWords(one, signed(one.said, stale).words)],
  'too old': [
    /older than 10 minutes/,
    (one) =>
      withWords(
        one,
        signed({ ...one.said, signedAt: new Date(NOW - SIGNATURE_AGE_MS - 1 - random(1e9)).toISOString() })
          .words,
      ),
  ],
  'of the future': [
    /still to come/,
    (one) =>
      withWords(
        one,
        signed({ ...one.said, signedAt: new Date(NOW + CLOCK_SKEW_MS + 1 + random(1e9)).toISOString() })
          .words,
      ),
  ],
  'used before': [/used before/, (one) => ({ ...one, taken: new Set([one.words['signature']!]) })],
  'the same signature, written otherwise': [
    /128 hex digits/,
    (one) => ({
      ...withWords(one, { signature: one.words['signature']!.replace(/[0-9]/g, (digit) => ` ${digit}`) }),
      taken: new Set([one.words['signature']!]),
    }),
  ],
  'S + L': [wrong, (one) => withWords(one, { signature: malleable(one.words['signature']!) })],
  'nothing but zeros': [wrong, (one) => withWords(one, { signature: '0'.repeat(128) })],
  'a signature that is cut off': [
    /128 hex digits/,
    (one) => withWords(one, { signature: one.words['signature']!.slice(0, random(128)) }),
  ],
};

it('takes what was signed, as it was signed', () => {
  for (let count = 0; count < 100; count += 1) expect(refuseProof(signed())).toBeUndefined();
  expect(refuseProof(signed({ choice: undefined, note: undefined }))).toBeUndefined();
  expect(refuseProof(signed({ by: 'Ben ' }))).toBeUndefined();
  expect(refuseProof(signed({ signedAt: new Date(NOW + CLOCK_SKEW_MS).toISOString() }))).toBeUndefined();
});

it(`refuses ${FORGERIES} forgeries, and says of each what is wrong with it`, () => {
  const kinds = Object.entries(forgeries);
  for (let count = 0; count < FORGERIES; count += 1) {
    const [name, [why, forge]] = kinds[count % kinds.length]!;
    const forged = forge(signed());
    const refusal = refuseProof(forged);
    if (refusal === undefined || !why.test(refusal))
      throw new Error(
        `seed ${SEED}, number ${count}, ${name}: ${refusal ?? 'taken'}\n${JSON.stringify(forged)}`,
      );
  }
});

it.each(['key', 'signedAt', 'signature'])('refuses a signature without its %s', (field) => {
  const one = signed();
  delete one.words[field];
  expect(refuseProof(one)).toBe(`a signature has key, signedAt, signature; "${field}" is missing`);
});

it('has other bytes for other answers, also where a text looks like the end of another one', () => {
  const base = { namespace: 'n', workflowId: 'w', runId: 'r', verb: 'decide', by: 'ben', signedAt: 't' };
  const bytes = [
    { subject: 'a', choice: 'b","c' },
    { subject: 'a","b', choice: 'c' },
    { subject: 'a', choice: 'b', note: 'c' },
    { subject: 'a', choice: 'null' },
    { subject: 'a' },
    { subject: 'a', note: '' },
    { subject: 'a', choice: '\ud800' },
    { subject: 'a', choice: '\ufffd' },
  ].map((one) => Buffer.from(statementBytes({ ...base, ...one })).toString());
  expect(new Set(bytes).size).toBe(bytes.length);
});

import {
  isSameName,
  PROOF_FIELDS,
  statementBytes,
  type SignerKey,
  type Statement,
} from '../../contract/answer';

const MINUTE_MS = 60_000;
/** A signature is for now: what was signed and not sent must not be sent some day. */
export const SIGNATURE_AGE_MS = 10 * MINUTE_MS;
/** How far the clock of a signer may be ahead. */
export const CLOCK_SKEW_MS = 2 * MINUTE_MS;

const SIGNATURE = /^[0-9a-f]{128}$/;

export interface Signed {
  /** Everything that is signed but the time. */
  said: Omit<Statement, 'signedAt'>;
  /** Fields of the Update. */
  words: Record<string, string>;
  keys: SignerKey[];
  /** Signatures that were taken before. */
  taken: ReadonlySet<string>;
  nowMs: number;
}

/** Whether an answer carries a signature, or a part of one. */
export function claimsProof(words: Record<string, string>): boolean {
  return PROOF_FIELDS.some((field) => words[field] !== undefined);
}

/** Why the signature of an answer does not hold, or nothing. */
export function refuseProof({ said, words, keys, taken, nowMs }: Signed): string | undefined {
  const missing = PROOF_FIELDS.find((field) => words[field] === undefined);
  if (missing !== undefined) return `a signature has ${PROOF_FIELDS.join(', ')}; "${missing}" is missing`;
  const { key: fingerprint, signedAt, signature } = words as Record<(typeof PROOF_FIELDS)[number], string>;
  const { by } = said;
  const key = keys.find((one) => one.fingerprint === fingerprint && isSameName(one.name, by));
  if (key === undefined) {
    const other = keys.find((one) => one.fingerprint === fingerprint);
    return other === undefined
      ? `this run knows no key ${fingerprint}; ${keysOf(keys, by)}`
      : `key ${fingerprint} is ${other.name}'s and not ${by}'s`;
  }
  if (key.expiresAt !== undefined && nowMs >= Date.parse(key.expiresAt))
    return `key ${fingerprint} of ${by} expired at ${key.expiresAt}; enter a new one in approval.keys`;
  const ageMs = nowMs - instantOf(signedAt);
  if (Number.isNaN(ageMs)) return '"signedAt" must be a time as 2026-01-31T12:00:00.000Z';
  if (ageMs > SIGNATURE_AGE_MS)
    return `the signature is of ${signedAt}, older than ${SIGNATURE_AGE_MS / MINUTE_MS} minutes; sign again`;
  if (ageMs < -CLOCK_SKEW_MS)
    return `the signature is of ${signedAt}, which is still to come; set your clock`;
  if (!SIGNATURE.test(signature)) return '"signature" must be the 128 hex digits of an Ed25519 signature';
  if (taken.has(signature)) return 'this signature was used before; sign again';
  if (!isSignedBy(key, { ...said, signedAt }, signature))
    return `the signature does not hold: it is not of key ${fingerprint}, or of another run, plan, answer, name, note or time`;
  return undefined;
}

/** Keys of that name, for a message. */
export function keysOf(keys: SignerKey[], by: string): string {
  const own = keys.filter(({ name }) => isSameName(name, by)).map(({ fingerprint }) => fingerprint);
  return own.length === 0
    ? `approval.keys had none of ${by} when it began`
    : `those of ${by}: ${own.join(', ')}`;
}

/** NaN where a time is not written as the command writes it: two ways to write one would be two signatures for one. */
function instantOf(text: string): number {
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text ? ms : Number.NaN;
}

function isSignedBy({ publicKey }: SignerKey, statement: Statement, signature: string): boolean {
  // 7 ms and 350 KB for each run that loads it, so only those load it that are asked.
  // eslint-disable-next-line @typescript-eslint/no-require-imports, no-restricted-globals
  const { ed25519 } = require('@noble/curves/ed25519') as typeof import('@noble/curves/ed25519');
  // As RFC 8032 and Node have it: each signature has one encoding.
  return ed25519.verify(signature, statementBytes(statement), publicKey, { zip215: false });
}

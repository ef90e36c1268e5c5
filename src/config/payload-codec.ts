import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { resolveSecrets } from './secrets';
import type { CodecConfig } from './temporal-schema';

/** The payload format of Temporal's own samples: nonce, text and tag under `binary/encrypted`. */
const ENCODING = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Thrown when something cannot be encrypted or decrypted. Names the key, never what is in it. */
export class CodecError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CodecError';
  }
}

/**
 * Encrypts with the first key and decrypts with the one whose ID a payload bears; what is not encrypted, e.g. of runs
 * from before, passes as it is. Throws MissingSecret, and CodecError for a key that is none.
 */
export function createPayloadCodec({ keys }: Pick<CodecConfig, 'keys'>, directory: string): PayloadCodec {
  const secrets = new Map(keys.map(({ id, secret }) => [id, keyOf(id, resolveSecrets(secret, directory))]));
  const [newest] = keys as [CodecConfig['keys'][number]];
  return {
    encode: async (payloads) =>
      payloads.map((payload) => encrypt(payload, newest.id, secrets.get(newest.id) as Buffer)),
    decode: async (payloads) =>
      payloads.map((payload) => (isEncrypted(payload) ? decrypt(payload, secrets) : payload)),
  };
}

function keyOf(id: string, text: string): Buffer {
  const key = Buffer.from(text, 'base64');
  if (key.length === KEY_BYTES && /^[A-Za-z0-9+/]{43}=$/.test(text)) return key;
  throw new CodecError(
    `the key ${id} of temporal.codec is not ${KEY_BYTES} bytes in base64. Make one with \`openssl rand -base64 ${KEY_BYTES}\`.`,
  );
}

function encrypt(payload: Payload, id: string, key: Buffer): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  const plain = temporal.api.common.v1.Payload.encode(payload).finish();
  const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) }, data };
}

function decrypt({ metadata, data }: Payload, secrets: ReadonlyMap<string, Buffer>): Payload {
  const id = textOf(metadata?.[KEY_ID]);
  const key = secrets.get(id);
  if (key === undefined)
    throw new CodecError(
      `something is encrypted with the key "${id}", which temporal.codec.keys does not have (${[...secrets.keys()].join(', ')}). Add it after the first: a key is needed until the last run that it encrypted is gone.`,
    );
  const bytes = data ?? new Uint8Array();
  try {
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const plain = [decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()];
    return temporal.api.common.v1.Payload.decode(Buffer.concat(plain));
  } catch {
    throw new CodecError(
      `what is encrypted with the key "${id}" is damaged, or temporal.codec has another key under that id.`,
    );
  }
}

const isEncrypted = ({ metadata }: Payload): boolean => textOf(metadata?.['encoding']) === ENCODING;

const textOf = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString();

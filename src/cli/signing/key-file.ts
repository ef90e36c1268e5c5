/** Private keys in OpenSSH's own format, as ssh-keygen writes it: PROTOCOL.key of OpenSSH. */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { blobOf, publicKeyOf, reader, sshString } from '../../config/ssh-key';
import type { Signer } from './signer';

const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----';
const END = '-----END OPENSSH PRIVATE KEY-----';
const MAGIC = 'openssh-key-v1\0';
const SEED_BYTES = 32;
const BLOCK_BYTES = 8;
const LINE = 70;
/** Of one key; anything longer is another file. */
const MAX_BYTES = 16_384;

/** Reads a key file; an encrypted one can be listed, and signs only through ssh-agent. Throws what is wrong with it. */
export function readKeyFile(file: string): Signer {
  const { mode, size } = statSync(file);
  if (size > MAX_BYTES) throw new Error('it is no key file');
  const text = readFileSync(file, 'utf8').trim();
  if (!text.startsWith(BEGIN) || !text.endsWith(END))
    throw new Error('it is no private key in the format of OpenSSH');
  try {
    const { privateKey, raw, fingerprint, comment } = parse(
      Buffer.from(text.slice(BEGIN.length, -END.length), 'base64'),
    );
    return {
      raw,
      fingerprint,
      comment,
      where: file,
      sign: async (data) => {
        if ((mode & 0o077) !== 0) throw new Error(`${file} can be read by others; chmod 600 ${file}`);
        if (privateKey === undefined) throw new Error(`${file} is encrypted; ssh-add ${file}`);
        return sign(null, data, privateKey);
      },
    };
  } catch (error) {
    // What was read is secret, and no message of ours.
    if (error instanceof RangeError) throw new Error('it is cut off, or damaged');
    throw error;
  }
}

function parse(bytes: Buffer) {
  const read = reader(bytes);
  if (read.bytes(MAGIC.length).toString('latin1') !== MAGIC) throw new RangeError('another format');
  const cipher = read.string().toString();
  read.string();
  read.string();
  if (read.uint32() !== 1) throw new Error('it has more than one key');
  const { raw, fingerprint } = publicKeyOf(read.string());
  const section = reader(read.string());
  if (cipher !== 'none') return { raw, fingerprint, comment: '', privateKey: undefined };
  if (section.uint32() !== section.uint32()) throw new RangeError('the check numbers differ');
  section.string();
  section.string();
  const seed = section.string().subarray(0, SEED_BYTES);
  return { raw, fingerprint, comment: section.string().toString(), privateKey: keyOf(seed, raw) };
}

function keyOf(seed: Buffer, raw: Buffer): KeyObject {
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: seed.toString('base64url'), x: raw.toString('base64url') };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

/** A new key: the text of its file, and its public half. */
export function createKey(comment: string): { text: string; raw: Buffer } {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const [seed, raw] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    blobOf(raw),
    sshString(Buffer.concat([seed, raw])),
    sshString(comment),
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, -secret.length & (BLOCK_BYTES - 1)));
  const one = Buffer.from([0, 0, 0, 1]);
  const bytes = Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    sshString('none'),
    sshString('none'),
    sshString(''),
    one,
    sshString(blobOf(raw)),
    sshString(Buffer.concat([secret, padding])),
  ]);
  const lines = bytes.toString('base64').match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return { text: [BEGIN, ...lines, END, ''].join('\n'), raw };
}

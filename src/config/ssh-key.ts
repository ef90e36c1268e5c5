/** Public keys as OpenSSH writes them: RFC 4253 strings within base64. */
import { createHash } from 'node:crypto';

const TYPE = 'ssh-ed25519';
const KEY_BYTES = 32;

export interface PublicKey {
  /** The 32 bytes. */
  raw: Buffer;
  /** `SHA256:...`, as `ssh-keygen -l` shows it. */
  fingerprint: string;
  comment: string;
}

/** Reads `ssh-ed25519 AAAA... comment`. Throws what is wrong with it. */
export function parsePublicKey(line: string): PublicKey {
  const [type = '', base64 = '', ...comment] = line.trim().split(/\s+/);
  if (type !== TYPE) throw new Error(`it must begin with ${TYPE}; other types of keys are not taken`);
  const blob = Buffer.from(base64, 'base64');
  if (blob.toString('base64') !== base64) throw new Error('what follows ssh-ed25519 is not base64');
  return { ...publicKeyOf(blob), comment: comment.join(' ') };
}

/** Reads the blob of a key. Throws where it is none of Ed25519. */
export function publicKeyOf(blob: Buffer): Omit<PublicKey, 'comment'> {
  const read = reader(blob);
  const type = read.string().toString();
  const raw = read.string();
  if (type !== TYPE || raw.length !== KEY_BYTES || read.left() > 0)
    throw new Error('it is not the public key that ssh-keygen -t ed25519 writes');
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
  return { raw: Buffer.from(raw), fingerprint: `SHA256:${digest}` };
}

/** The blob of a key: what a fingerprint is of, and what an agent knows it by. */
export function blobOf(raw: Uint8Array): Buffer {
  return Buffer.concat([sshString(TYPE), sshString(raw)]);
}

export function publicKeyLine(raw: Uint8Array, comment: string): string {
  return `${TYPE} ${blobOf(raw).toString('base64')} ${comment}`.trim();
}

/** A length of four bytes, then the bytes. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Reads one after the other; throws a RangeError past the end. */
export function reader(buffer: Buffer) {
  let at = 0;
  const bytes = (length: number): Buffer => {
    if (at + length > buffer.length) throw new RangeError('it ends too early');
    at += length;
    return buffer.subarray(at - length, at);
  };
  const uint32 = () => bytes(4).readUInt32BE();
  return {
    bytes,
    uint32,
    byte: () => bytes(1).readUInt8(),
    string: () => bytes(uint32()),
    left: () => buffer.length - at,
  };
}

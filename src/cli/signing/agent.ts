/** The keys in the user's ssh-agent: draft-miller-ssh-agent. */
import { connect } from 'node:net';
import { blobOf, publicKeyOf, reader, sshString } from '../../config/ssh-key';
import type { Signer } from './signer';

const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const NO_FLAGS = Buffer.alloc(4);
const LIST_MS = 3_000;
/** An agent may ask its owner first. */
const SIGN_MS = 60_000;
const MAX_BYTES = 262_144;

/** Its Ed25519 keys. Throws where the agent does not answer. */
export async function agentKeys(socket: string): Promise<Signer[]> {
  const read = reader(
    await ask(socket, REQUEST_IDENTITIES, [], { wanted: IDENTITIES_ANSWER, withinMs: LIST_MS }),
  );
  const signers: Signer[] = [];
  for (let left = read.uint32(); left > 0; left -= 1) {
    const blob = read.string();
    const comment = read.string().toString();
    if (!isEd25519(blob)) continue;
    const { raw, fingerprint } = publicKeyOf(blob);
    signers.push({
      raw,
      fingerprint,
      comment,
      where: 'ssh-agent',
      sign: (data) => signWith(socket, raw, data),
    });
  }
  return signers;
}

async function signWith(socket: string, raw: Buffer, data: Uint8Array): Promise<Buffer> {
  const request = [sshString(blobOf(raw)), sshString(data), NO_FLAGS];
  const answer = await ask(socket, SIGN_REQUEST, request, { wanted: SIGN_RESPONSE, withinMs: SIGN_MS });
  const signature = reader(reader(answer).string());
  signature.string();
  return Buffer.from(signature.string());
}

function isEd25519(blob: Buffer): boolean {
  try {
    publicKeyOf(blob);
    return true;
  } catch {
    return false;
  }
}

/** One message and its answer, on a connection of its own. */
function ask(
  socket: string,
  type: number,
  parts: Buffer[],
  { wanted, withinMs }: { wanted: number; withinMs: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    let got = Buffer.alloc(0);
    const fail = (why: string) => {
      connection.destroy();
      reject(new Error(`ssh-agent ${why}`));
    };
    connection.setTimeout(withinMs, () => fail(`did not answer within ${withinMs / 1_000} s`));
    connection.on('error', (error) => fail(`cannot be reached at SSH_AUTH_SOCK: ${error.message}`));
    connection.on('close', () => fail('closed the connection'));
    connection.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      const length = got.length < 4 ? Infinity : got.readUInt32BE();
      if (length !== Infinity && length > MAX_BYTES) return fail('answered something else');
      if (got.length < 4 + length) return;
      if (got.readUInt8(4) !== wanted) return fail('refused');
      resolve(got.subarray(5, 4 + length));
      connection.destroy();
    });
    connection.write(sshString(Buffer.concat([Buffer.from([type]), ...parts])));
  });
}

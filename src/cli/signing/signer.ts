import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { agentSocket, keysFolder, sshKeyFile } from '../../config/user';
import { CliError, EXIT } from '../errors';

/** A key that this user can sign with. */
export interface Signer {
  /** The 32 bytes of the public half. */
  raw: Buffer;
  fingerprint: string;
  comment: string;
  /** Its file, or `ssh-agent`. */
  where: string;
  /** A raw Ed25519 signature. Throws what keeps it from that. */
  sign(data: Uint8Array): Promise<Buffer>;
}

export interface Keys {
  signers: Signer[];
  /** What could not be read, and why. */
  problems: string[];
}

/** Every key of the user: files of `runbooks keys create`, ssh-agent, the key of ssh-keygen. */
export async function userKeys(): Promise<Keys> {
  const { readKeyFile } = await import('./key-file.js');
  const signers: Signer[] = [];
  const problems: string[] = [];
  const readFrom = (file: string): void => {
    try {
      signers.push(readKeyFile(file));
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOENT')
        problems.push(`${file}: ${(error as Error).message}`);
    }
  };
  for (const name of namesIn(keysFolder())) readFrom(join(keysFolder(), name));
  const socket = agentSocket();
  if (socket !== undefined) {
    const { agentKeys } = await import('./agent.js');
    try {
      signers.push(...(await agentKeys(socket)));
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  readFrom(sshKeyFile());
  return { signers, problems };
}

/** The key of one file. Throws CliError. */
export async function keyIn(file: string): Promise<Signer> {
  const { readKeyFile } = await import('./key-file.js');
  try {
    return readKeyFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw new CliError(EXIT.usage, `The key ${file} cannot be used: ${why}.`);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.endsWith('.pub'))
      .sort();
  } catch {
    return [];
  }
}

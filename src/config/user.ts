/** Where whoever sits at this terminal keeps keys. */
import { homedir } from 'node:os';
import { join } from 'node:path';

const home = (): string => process.env['HOME'] || homedir();

/** Folder of the keys that `runbooks keys create` writes. */
export function keysFolder(): string {
  return join(process.env['XDG_CONFIG_HOME'] || join(home(), '.config'), 'durable-runbooks', 'keys');
}

/** Where ssh-keygen puts a key of this type. */
export function sshKeyFile(): string {
  return join(home(), '.ssh', 'id_ed25519');
}

/** Where the user's ssh-agent listens; undefined where there is none. */
export function agentSocket(): string | undefined {
  return process.env['SSH_AUTH_SOCK'] || undefined;
}

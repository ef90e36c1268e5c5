import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { isListening } from '../../src/host/listening';

const START_MS = 5_000;

/** OpenSSH's own agent, on that socket. Whoever starts it kills it. */
export async function startAgent(socket: string): Promise<ChildProcess> {
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  for (const until = Date.now() + START_MS; Date.now() < until;) {
    if (await isListening({ path: socket })) return agent;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  agent.kill();
  throw new Error('ssh-agent does not listen');
}

/** Gives it a key; of an encrypted one with its passphrase, for which ssh-add asks a program. */
export function addToAgent(socket: string, file: string, passphrase = ''): void {
  const program = `${file}.askpass`;
  writeFileSync(program, `#!/bin/sh\necho '${passphrase}'\n`, { mode: 0o700 });
  execFileSync('ssh-add', ['-q', file], {
    env: { ...process.env, SSH_AUTH_SOCK: socket, SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force' },
    stdio: 'ignore',
  });
}

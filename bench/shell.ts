import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../src/config/version';
import { cleanEnvironment } from '../src/host/postgres-cluster';
import { timed } from './measure';

export interface ShellRun {
  seconds: number;
  /** Seconds of each part, as the script's `phase` lines tell them. */
  phases: Record<string, number>;
}

const TIMEOUT_MS = 30 * 60_000;

/**
 * Runs one of the scripts in bench/shell to its end. Throws with the end of what it printed when it fails: a baseline
 * that broke off half-way would look fast.
 */
export async function runShell(name: string, environment: Record<string, string>): Promise<ShellRun> {
  const script = join(PACKAGE_ROOT, 'bench', 'shell', `${name}.sh`);
  const { seconds, result } = await timed(
    () =>
      new Promise<string>((resolve, reject) => {
        const child = spawn('bash', [script], {
          cwd: '/',
          env: { ...cleanEnvironment(), ...environment },
          stdio: ['ignore', 'pipe', 'pipe'],
          timeout: TIMEOUT_MS,
        });
        let output = '';
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (text: Buffer) => (output = (output + text.toString()).slice(-20_000)));
        child.once('error', reject);
        child.once('close', (code) =>
          code === 0
            ? resolve(output)
            : reject(new Error(`${script} ended with ${code}: ${output.slice(-1_500)}`)),
        );
      }),
  );
  return { seconds, phases: phasesOf(result) };
}

function phasesOf(output: string): Record<string, number> {
  const phases: Record<string, number> = {};
  for (const [, name, took] of output.matchAll(/^@phase (\S+) ([\d.]+)$/gm))
    phases[name!] = (phases[name!] ?? 0) + Number(took);
  return phases;
}

/** "dump 4.1, counts 0.3" of several runs: the medians were taken by the caller. */
export function describePhases(phases: Record<string, number>): string {
  return Object.entries(phases)
    .map(([name, took]) => `${name} ${took.toFixed(1)}`)
    .join(', ');
}

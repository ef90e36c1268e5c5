/** What the `trouble` programs of the examples have in common. */
import { fork } from 'node:child_process';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';

export interface Trouble {
  /** For the usage text: what it needs, and what ends it. */
  usage: string;
  make: (options: { count: number; seconds: number }) => Promise<void>;
}

/** As a program: makes the trouble that its first argument names. */
export async function runTroubles(troubles: Record<string, Trouble>): Promise<void> {
  try {
    await makeTrouble(troubles);
  } catch (error) {
    console.error(`No trouble was made: ${(error as Error).message}`);
    process.exit(1);
  }
}

async function makeTrouble(troubles: Record<string, Trouble>): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      count: { type: 'string', default: '12' },
      seconds: { type: 'string', default: '120' },
      background: { type: 'boolean', default: false },
    },
  });
  const trouble = troubles[positionals[0] ?? ''];
  if (trouble === undefined) {
    const known = Object.entries(troubles).map(([name, { usage }]) => `  ${name}\n${wrapped(usage)}`);
    throw new Error(`which trouble?\n${known.join('\n')}`);
  }
  if (values.background)
    return inBackground(process.argv.slice(2).filter((argument) => argument !== '--background'));
  await trouble.make({
    count: wholeNumber('count', values.count),
    seconds: wholeNumber('seconds', values.seconds),
  });
}

/** Indented, for a terminal of 80 columns. */
const wrapped = (text: string): string => text.replace(/(.{1,72})(?:\s+|$)/g, '      $1\n').trimEnd();

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > 3_600)
    throw new Error(`--${name} must be a whole number from 1 to 3600, got ${text}`);
  return value;
}

/** The examples count a transaction as forgotten after five seconds. */
const FORGOTTEN_MS = 6_000;

/** Makes the trouble in a process of its own, and returns when it is there. */
async function inBackground(args: string[]): Promise<void> {
  const child = fork(process.argv[1]!, args, { detached: true, stdio: 'ignore' });
  const said = await new Promise<string>((resolve, reject) => {
    child.once('message', (said) => resolve(said as string));
    child.once('exit', () => reject(new Error('it ended at once; without --background it says why')));
  });
  await new Promise((resolve) => setTimeout(resolve, FORGOTTEN_MS));
  console.log(said);
  child.disconnect();
  child.unref();
}

/** To the terminal, and to whoever put this in the background. */
export function say(text: string): void {
  console.log(text);
  if (process.connected) process.send?.(text);
}

/** Where switches are: beside the configuration. */
export function stackFolder(): string {
  return dirname(needVariable('RUNBOOKS_CONFIG'));
}

export function needVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

/**
 * What the assistant's operators can switch while it runs, as a program in the folder of its state:
 *
 *   switches feature summaries on|off
 *   switches limit|cache|scale|memory-limit <number>|default     requests a second, seconds, instances, megabytes
 *   switches pool                                                to POOL_MAX
 *   switches restart                                             new connections, and what ran away is gone
 *   switches show cache|scale|memory-limit
 *   switches exempt | usual                                      the address in WHO has no limit until UNTIL; it has again
 *   switches block | unblock                                     the address in WHO is refused everything; no longer
 */
import { NO_LOAD, type LoadSwitches } from '../shared/load';
import { switchesOf } from '../shared/switches';
import { printAnswer } from '../shared/program';

export const EXTERNALS = ['twilio', 'vapi', 'google-calendar'] as const;
export type External = (typeof EXTERNALS)[number];

export interface Switches extends LoadSwitches {
  summaries: boolean;
  requestsPerSecond: number;
  /** That the statement behind every answer about free times takes. */
  statementSeconds: number;
  cacheTtlSeconds: number;
  memoryLimitMegabytes: number;
  poolMax: number;
  /** Milliseconds since 1970. */
  restartedAt: number;
  /** Services of others that are down. */
  down: External[];
  /** Addresses without a limit, with the time at which that ends. */
  exempt: Record<string, string>;
  blocked: string[];
}

export const DEFAULT_SWITCHES: Switches = {
  ...NO_LOAD,
  summaries: false,
  requestsPerSecond: 200,
  statementSeconds: 0,
  cacheTtlSeconds: 30,
  memoryLimitMegabytes: 1_500,
  poolMax: 8,
  restartedAt: 0,
  down: [],
  exempt: {},
  blocked: [],
};

export const switches = switchesOf(DEFAULT_SWITCHES);

type NumberSwitch = 'requestsPerSecond' | 'cacheTtlSeconds' | 'instances' | 'memoryLimitMegabytes';

const NUMBERS: Record<string, NumberSwitch> = {
  limit: 'requestsPerSecond',
  cache: 'cacheTtlSeconds',
  scale: 'instances',
  'memory-limit': 'memoryLimitMegabytes',
};

function change(directory: string, what = '', to = ''): Partial<Switches> {
  const number = NUMBERS[what];
  if (number !== undefined)
    return { [number]: to === 'default' ? DEFAULT_SWITCHES[number] : wholeNumber(to) };
  const { exempt, blocked } = switches.read(directory);
  switch (what) {
    case 'feature':
      if (to === 'summaries') return { summaries: process.argv[4] === 'on' };
      break;
    case 'pool':
      return { poolMax: wholeNumber(variable('POOL_MAX')) };
    case 'restart':
      return { restartedAt: Date.now() };
    case 'exempt':
      return { exempt: { ...exempt, [variable('WHO')]: variable('UNTIL') } };
    case 'usual':
      return { exempt: without(exempt, variable('WHO')) };
    case 'block':
      return { blocked: [...new Set([...blocked, variable('WHO')])] };
    case 'unblock':
      return { blocked: blocked.filter((one) => one !== variable('WHO')) };
  }
  throw new Error(
    'expected: switches feature summaries on|off, limit|cache|scale|memory-limit <number>|default, pool, restart, show, exempt, usual, block, unblock',
  );
}

function without<T>(all: Record<string, T>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([one]) => one !== name));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > 10_000)
    throw new Error(`a whole number from 1 to 10000, and not ${text}`);
  return value;
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

function main([what, to]: string[]): string {
  const directory = process.cwd();
  const shown = NUMBERS[to ?? ''];
  if (what === 'show' && shown !== undefined) return String(switches.read(directory)[shown]);
  return JSON.stringify(switches.set(directory, change(directory, what, to)));
}

if (require.main === module) printAnswer(() => main(process.argv.slice(2)));

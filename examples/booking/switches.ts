/**
 * What the sample's operators can switch while it runs, as a program in the folder of its state:
 *
 *   switches feature recommendations on|off
 *   switches limit 50                    requests a second for each address
 *   switches limit default
 *   switches exempt                      the address in WHO, until the time in UNTIL
 *   switches own-limit 50                the same, with a limit of its own
 *   switches usual                       the usual limit again for WHO
 *   switches block | unblock             the address in WHO is refused everything; no longer
 *   switches cron lost                   the platform loses the schedule of the job that has holds expire
 *   switches cron idle                   the job answers, and does nothing
 *   switches cron default
 *   switches interest 3                  seconds that the statement of the searches takes for who is about to book
 *   switches cache 0|600|default         seconds that the cache keeps its answer
 *   switches load 1                      seconds that a search keeps a processor busy, for ten minutes
 *   switches busy|runaway|leak on|off    keeps a processor busy, in a loop that only a restart ends, or loses memory; for ten minutes
 *   switches scale 4|default             instances that share work, but not a loop
 *   switches memory-limit 2000|default   megabytes
 *   switches show cache|scale|memory-limit
 *   switches receiver well|broken|slow|gone|busy|rotated     how those answer to whom webhooks go
 */
import { RECEIVER_MOODS, type ReceiverMood } from '../shared/receiver-moods';
import { NO_LOAD, type LoadSwitches } from '../shared/load';
import { switchesOf } from '../shared/switches';
import { printAnswer } from '../shared/program';

export interface Switches extends LoadSwitches {
  /** Shows listings like those found. Off in the sample for a reason: see features.ts. */
  recommendations: boolean;
  /** For each address. */
  requestsPerSecond: number;
  /** What the platform has; empty: it has lost it. */
  cronSchedule: string;
  expiryWorks: boolean;
  interestSeconds: number;
  cacheTtlSeconds: number;
  memoryLimitMegabytes: number;
  webhookReceiver: ReceiverMood;
  /** By address; a limit of null: none. */
  exceptions: Record<string, { limit: number | null; until: string }>;
  /** Addresses that are refused everything. */
  blocked: string[];
}

export const DEFAULT_SWITCHES: Switches = {
  ...NO_LOAD,
  recommendations: false,
  requestsPerSecond: 500,
  cronSchedule: '*/10 * * * * *',
  expiryWorks: true,
  interestSeconds: 0,
  cacheTtlSeconds: 30,
  memoryLimitMegabytes: 1_500,
  webhookReceiver: 'well',
  exceptions: {},
  blocked: [],
};

const MAX_NUMBER = 10_000;

export const { read: readSwitches, set: setSwitches, follow: followSwitches } = switchesOf(DEFAULT_SWITCHES);

/** For WHO, until UNTIL; without a limit the usual one is back. */
function setException(directory: string, limit: number | null | undefined): Switches {
  const { WHO: who = '', UNTIL: until = '' } = process.env;
  if (who === '' || (limit !== undefined && Number.isNaN(Date.parse(until))))
    throw new Error('WHO and UNTIL say for whom, and until when as an ISO time');
  const { [who]: _, ...others } = readSwitches(directory).exceptions;
  return setSwitches(directory, {
    exceptions: limit === undefined ? others : { ...others, [who]: { limit, until } },
  });
}

function setBlocked(directory: string, blocks: boolean): Switches {
  const { WHO: who = '' } = process.env;
  if (who === '') throw new Error('WHO says which address');
  const others = readSwitches(directory).blocked.filter((one) => one !== who);
  return setSwitches(directory, { blocked: blocks ? [...others, who] : others });
}

function main([what, ...rest]: string[]): Switches | number {
  const directory = process.cwd();
  const shown = NUMBERS[rest[0] ?? ''];
  if (what === 'show' && shown !== undefined) return readSwitches(directory)[shown];
  if (what === 'feature' && rest[0] === 'recommendations' && /^(on|off)$/.test(rest[1] ?? ''))
    return setSwitches(directory, { recommendations: rest[1] === 'on' });
  if (what === 'cron' && /^(lost|idle|default)$/.test(rest[0] ?? ''))
    return setSwitches(directory, {
      cronSchedule: rest[0] === 'lost' ? '' : DEFAULT_SWITCHES.cronSchedule,
      expiryWorks: rest[0] !== 'idle',
    });
  const burden = BURDENS[what ?? ''];
  if (burden !== undefined && /^(on|off)$/.test(rest[0] ?? ''))
    return setSwitches(directory, { [burden]: rest[0] === 'on' ? Date.now() : 0 });
  const number = NUMBERS[what ?? ''];
  const value = rest[0] === 'default' ? undefined : Number(rest[0]);
  if (number !== undefined && (value === undefined || isSmall(value)))
    return setSwitches(directory, { [number]: value ?? DEFAULT_SWITCHES[number] });
  if (what === 'exempt') return setException(directory, null);
  if (what === 'own-limit' && Number(rest[0]) > 0) return setException(directory, Number(rest[0]));
  if (what === 'block' || what === 'unblock') return setBlocked(directory, what === 'block');
  if (what === 'usual') return setException(directory, undefined);
  const mood = RECEIVER_MOODS.find((one) => one === rest[0]);
  if (what === 'receiver' && mood !== undefined) return setSwitches(directory, { webhookReceiver: mood });
  const limit = rest[0] === 'default' ? DEFAULT_SWITCHES.requestsPerSecond : Number(rest[0]);
  if (what === 'limit' && Number.isInteger(limit) && limit > 0)
    return setSwitches(directory, { requestsPerSecond: limit });
  throw new Error(
    'expected: switches feature recommendations on|off, or: switches limit <number>|default, or: switches cron lost|idle|default, or: switches interest|load|cache|scale|memory-limit <number>|default, or: switches busy|runaway|leak on|off, or: switches exempt|own-limit <number>|usual, or: switches block|unblock, or: switches receiver ' +
      RECEIVER_MOODS.join('|'),
  );
}

const BURDENS: Record<string, 'busySince' | 'runawaySince' | 'leakSince'> = {
  busy: 'busySince',
  runaway: 'runawaySince',
  leak: 'leakSince',
};

const NUMBERS: Record<
  string,
  'interestSeconds' | 'loadSeconds' | 'cacheTtlSeconds' | 'instances' | 'memoryLimitMegabytes'
> = {
  interest: 'interestSeconds',
  load: 'loadSeconds',
  cache: 'cacheTtlSeconds',
  scale: 'instances',
  'memory-limit': 'memoryLimitMegabytes',
};

function isSmall(value: number): boolean {
  return Number.isFinite(value) && value >= 0 && value <= MAX_NUMBER;
}

if (require.main === module) printAnswer(() => JSON.stringify(main(process.argv.slice(2))));

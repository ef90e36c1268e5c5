/**
 * What operators, and `trouble`, can switch while the application runs, as a program in the folder of its state:
 *
 *   switches <name> <value>|default
 *   switches show [<name>]
 */
import { switchesOf } from '../shared/switches';
import { printAnswer } from '../shared/program';

/** The first value is the usual one. */
const KNOWN = {
  /** off: confirmations of bookings are stopped. */
  confirmations: ['on', 'off'],
  /** off: the worker of the queue `bookings`, which has holds expire, is stopped. */
  holdExpiry: ['on', 'off'],
  /** Workers of each queue but that. */
  workers: ['2', '12'],
  /** What the server that sends mail does. */
  mail: ['well', 'slow', 'down'],
  /** down: nobody reaches Meilisearch. */
  search: ['up', 'down'],
  /** wrong: the application does not have the secret with which the provider signs its events. */
  paymentSecret: ['right', 'wrong'],
  /** off: departures are sold without a row lock, as by a faulty release. */
  inventoryLocks: ['on', 'off'],
  /** Requests of one address within ten seconds. */
  limit: ['200', '2000'],
  /** Customers behind one address: many of them, or none. */
  sharedOffice: ['away', 'busy'],
  /** slow: the statement of the list of packages takes half a second. */
  packages: ['quick', 'slow'],
} as const;

export type SwitchName = keyof typeof KNOWN;
export type Switches = { [Name in SwitchName]: (typeof KNOWN)[Name][number] };

export const SWITCHES = Object.keys(KNOWN) as SwitchName[];
const USUAL = Object.fromEntries(SWITCHES.map((name) => [name, KNOWN[name][0]])) as Switches;

/** The application follows a change within a second. */
export const switches = switchesOf<Switches>(USUAL);

export const resetSwitches = (directory: string): Switches => switches.set(directory, USUAL);

function main([name, value]: string[]): string {
  const directory = process.cwd();
  const now = switches.read(directory);
  if (name === 'show') return value === undefined ? JSON.stringify(now) : now[value as SwitchName];
  const values: readonly string[] | undefined = KNOWN[name as SwitchName];
  const wanted = value === 'default' ? values?.[0] : value;
  if (values === undefined || wanted === undefined || !values.includes(wanted)) {
    const usage = SWITCHES.map((one) => `${one} ${KNOWN[one].join('|')}`).join(', ');
    throw new Error(`expected: switches show, or one of: ${usage}`);
  }
  switches.set(directory, { [name as SwitchName]: wanted });
  return `${name} ${wanted}`;
}

if (require.main === module) printAnswer(() => main(process.argv.slice(2)));

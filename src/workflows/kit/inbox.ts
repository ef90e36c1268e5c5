import { ApplicationFailure, condition, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { Run } from './run';
import { addNote, publish, type RunState } from './state';
import { need, refused } from './words';

/** What a person sends: texts by name. */
export type Words = Record<string, string>;

/** A message of a runbook's own. */
export interface Message<A = Activities> {
  /** Of the Update, or of the signal. */
  name: string;
  /** A signal is answered by nobody, and a refused one is a line of the timeline. Default: `update`. */
  kind?: 'update' | 'signal';
  /** What it is for, in the Temporal UI and in Current Details. */
  what: string;
  /** Fields that it must have, with what stands for them in an example. `by` is added. */
  fields: Words;
  /** Fields that it may have. */
  optional?: string[];
  /** Whether it makes sense now: shown in Current Details only then. Default: always. */
  offered?: () => boolean;
  /** Why it cannot be taken, or nothing. Synchronous: it runs in an Update validator. */
  refuse?: (words: Words) => string | undefined;
  /** Takes it, and answers. Changes what the procedure shares with it; activities are left to the procedure. */
  take: (words: Words, run: Run<A>) => string | Promise<string>;
}

/** Messages of a runbook's own, and what its procedure shares with them. */
export interface Inbox<Shared, A = Activities> {
  open: () => Shared;
  declare: (shared: Shared) => Message<A>[];
}

/**
 * Declares Updates and signals beside a procedure. The kit registers them before the first await, refuses what comes before
 * the configuration was read, and shows them to people. `open` makes what messages and procedure share.
 * @example messages(() => ({ orders: [] as string[] }), (shared) => [{ name: 'order', what: 'Order', fields: { dish: 'soup' },
 *   take: ({ dish = '' }) => (shared.orders.push(dish), 'noted') }])
 */
export function messages<Shared, A = Activities>(
  open: () => Shared,
  declare: (shared: Shared) => Message<A>[],
): Inbox<Shared, A> {
  return { open, declare };
}

const TAKEN = [
  'approve',
  'reject',
  'decide',
  'done',
  'note',
  'lease',
  'verdict',
  'alert',
  'wake',
  'goOn',
  'childRests',
  'triggered',
];

/** Registers handlers. Updates rather than signals, where somebody waits: a person hears at once that it was refused, and why. */
export function handleInbox<Shared, A>(
  state: RunState,
  inbox: Inbox<Shared, A> | undefined,
  runOf: () => Run<A> | undefined,
): Shared {
  if (inbox === undefined) return undefined as Shared;
  const shared = inbox.open();
  const all = inbox.declare(shared);
  for (const message of all) {
    if (TAKEN.includes(message.name))
      throw ApplicationFailure.nonRetryable(
        `every run has a message "${message.name}" already`,
        'BadRunbook',
      );
    if (message.kind === 'signal') handleSignal(state, message, runOf);
    else handleUpdate(state, message, runOf);
  }
  state.offers = () =>
    all
      .filter(({ kind, offered }) => kind !== 'signal' && runOf() !== undefined && (offered?.() ?? true))
      .map(({ name, what, fields }) => ({ name, what, argument: { ...fields, by: '<your name>' } }));
  return shared;
}

function handleUpdate<A>(state: RunState, message: Message<A>, runOf: () => Run<A> | undefined): void {
  const validator = (words: Words): void => void check(message, words, runOf());
  const handler = async (words: Words): Promise<string> => {
    // Two Updates can be validated before the first is handled.
    const run = check(message, words, runOf());
    const answer = message.take(words, run);
    publish(state);
    return answer;
  };
  const description = `${message.what}: ${shapeOf(message)}`;
  setHandler(defineUpdate<string, [Words]>(message.name), handler, { validator, description });
}

function handleSignal<A>(state: RunState, message: Message<A>, runOf: () => Run<A> | undefined): void {
  const handler = async (words: Words): Promise<void> => {
    // It may come with the start.
    await condition(() => runOf() !== undefined);
    try {
      await message.take(words, check(message, words, runOf()));
      publish(state);
    } catch (error) {
      addNote(state, `Refused: ${message.name}`, (error as Error).message);
    }
  };
  setHandler(defineSignal<[Words]>(message.name), handler, {
    description: `${message.what}: ${shapeOf(message)}`,
  });
}

function check<A>(
  { fields, optional = [], refuse }: Message<A>,
  words: Words,
  run: Run<A> | undefined,
): Run<A> {
  need(words, [...Object.keys(fields), 'by']);
  const known = [...Object.keys(fields), 'by', ...optional];
  const unknown = Object.keys(words).find((field) => !known.includes(field));
  if (unknown !== undefined) throw refused(`there is no "${unknown}"; expected ${known.join(', ')}`);
  if (run === undefined) throw refused('the run still reads its configuration; send it again in a moment');
  const problem = refuse?.(words);
  if (problem !== undefined) throw refused(problem);
  return run;
}

function shapeOf<A>({ fields, optional = [] }: Message<A>): string {
  const must = [...Object.keys(fields), 'by'].map((name) => `"${name}"`);
  return `{${[...must, ...optional.map((name) => `"${name}"?`)].join(', ')}}`;
}

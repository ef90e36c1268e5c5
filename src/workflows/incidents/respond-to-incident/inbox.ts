import { defineUpdate, setHandler } from '@temporalio/workflow';
import { publish } from '../../kit/state';
import { need, refused } from '../../kit/words';
import type { Incident } from './incident';

export type Words = Record<string, string>;

/** A message that people send to an incident. */
export interface Message {
  name: string;
  /** What it is for, in the Temporal UI and in Current Details. */
  what: string;
  /** Fields that it must have, with what stands for them in an example. `by` is added. */
  fields: Record<string, string>;
  /** Fields that it may have. */
  optional?: string[];
  /** Whether it makes sense now: shown in Current Details only then. */
  offered: () => boolean;
  /** Why it cannot be taken, or nothing. Synchronous: it runs in an Update validator. */
  refuse?: (words: Words) => string | undefined;
  /** Changes the incident at once; whatever takes time goes into `todo`. */
  take: (words: Words) => string | Promise<string>;
}

/** Registers Updates. Updates and not signals: a person hears at once that a message was refused, and why. */
export function receive(incident: Incident, messages: Message[]): void {
  for (const message of messages) {
    const validator = (words: Words): void => check(incident, message, words);
    const handler = async (words: Words): Promise<string> => {
      // Two Updates can be validated before the first is handled.
      validator(words);
      const answer = message.take(words);
      incident.woken = true;
      publish(incident.state);
      return answer;
    };
    const description = `${message.what}: ${shapeOf(message)}`;
    setHandler(defineUpdate<string, [Words]>(message.name), handler, { validator, description });
  }
  incident.state.offers = () =>
    messages
      .filter(({ offered }) => incident.policy !== undefined && offered())
      .map(({ name, what, fields }) => ({ name, what, argument: { ...fields, by: '<your name>' } }));
}

function check(incident: Incident, { fields, optional = [], refuse }: Message, words: Words): void {
  need(words, [...Object.keys(fields), 'by']);
  const known = [...Object.keys(fields), 'by', ...optional];
  const unknown = Object.keys(words).find((field) => !known.includes(field));
  if (unknown !== undefined) throw refused(`there is no "${unknown}"; expected ${known.join(', ')}`);
  if (incident.policy === undefined)
    throw refused('the run still reads its configuration; send it again in a moment');
  const problem = refuse?.(words);
  if (problem !== undefined) throw refused(problem);
}

function shapeOf({ fields, optional = [] }: Message): string {
  const must = [...Object.keys(fields), 'by'].map((name) => `"${name}"`);
  return `{${[...must, ...optional.map((name) => `"${name}"?`)].join(', ')}}`;
}

/** Names are compared as people write them. */
export function sameName(one: string, other: string): boolean {
  return one.trim().toLowerCase() === other.trim().toLowerCase();
}

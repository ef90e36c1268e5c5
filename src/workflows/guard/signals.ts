import { defineSignal, defineUpdate, setDefaultSignalHandler, setHandler } from '@temporalio/workflow';
import type { Letter, Release } from '../../contract/guard';
import { isRelease, isSame } from './shape';

/**
 * Hears signals in the order in which they came. Those that came before the first turn wait for their handlers, and the SDK
 * gives each handler all of its own as it is set: a pause after a resume would be heard before it. A default handler takes all of
 * them as they came; the handlers by name are for the Temporal UI, which lists them. In
 * `heard` are the IDs of the runs that say something.
 */
export function handleSignals(handlers: Record<string, (argument: never) => void>, heard: Set<string>): void {
  const hear = (name: string, argument: unknown): void => {
    const run = argument as Partial<Release> | undefined;
    if (isRelease(run)) heard.add(run.runId);
    if (Object.hasOwn(handlers, name)) handlers[name]!(argument as never);
  };
  setDefaultSignalHandler((name, argument) => hear(name, argument));
  for (const name of Object.keys(handlers))
    setHandler(defineSignal<[unknown]>(name), (argument) => hear(name, argument));
  setDefaultSignalHandler(undefined);
}

/**
 * Hears the same as Updates, from runs that wait for the answer: what would be said to the run, or for it, by a signal of the names
 * in `answers` is returned, and is not said a second time. `decide` must not wait. A run that asked by signal in
 * the same turn (`heard`) waits for a signal: nobody may be left to take the answer of its Update.
 */
export function answerAtOnce(
  state: { letters: Letter[] },
  handlers: Record<string, (argument: never) => void>,
  answers: string[],
  decide: () => void,
  heard: ReadonlySet<string>,
): void {
  const isAnswerTo = (run: Release, { workflowId, runId = '', signal, argument }: Letter): boolean =>
    answers.includes(signal) && (isSame({ workflowId, runId }, run) || isSame(argument as Release, run));
  const takeAnswer = (run: Release): Letter | null => {
    const answer = state.letters.findLast((letter) => isAnswerTo(run, letter));
    state.letters = state.letters.filter((letter) => !isAnswerTo(run, letter));
    return answer ?? null;
  };
  for (const [name, handle] of Object.entries(handlers))
    setHandler(defineUpdate<Letter | null, [Release]>(name), (run) => {
      handle(run as never);
      decide();
      return isRelease(run) && !heard.has(run.runId) ? takeAnswer(run) : null;
    });
}

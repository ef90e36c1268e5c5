import { defineSignal, setDefaultSignalHandler, setHandler } from '@temporalio/workflow';

/**
 * Hears signals in the order in which they came. Those that came before the first turn wait for their handlers, and the SDK
 * gives each handler all of its own as it is set: a pause after a resume would be heard before it. A default handler takes all of
 * them as they came; the handlers by name are for the Temporal UI, which lists them.
 */
export function handleSignals(handlers: Record<string, (argument: never) => void>): void {
  setDefaultSignalHandler((name, argument) => handlers[name]?.(argument as never));
  for (const [name, handle] of Object.entries(handlers)) setHandler(defineSignal<[never]>(name), handle);
  setDefaultSignalHandler(undefined);
}

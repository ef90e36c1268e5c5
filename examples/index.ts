import type { Example } from './example';

/** What `runbooks up --example` knows, each loaded when it is asked for. */
export const EXAMPLES: Record<string, () => Promise<{ example: Example }>> = {
  assistant: () => import('./assistant/example.js'),
  appointments: () => import('./appointments/example.js'),
  booking: () => import('./booking/example.js'),
  studio: () => import('./studio/example.js'),
  travel: () => import('./travel/example.js'),
};

export class UnknownExample extends Error {
  constructor(name: string) {
    super(`there is no example ${name}; known: ${Object.keys(EXAMPLES).join(', ')}`);
    this.name = 'UnknownExample';
  }
}

/** Throws UnknownExample. */
export async function loadExample(name: string): Promise<Example> {
  const load = Object.hasOwn(EXAMPLES, name) ? EXAMPLES[name] : undefined;
  if (load === undefined) throw new UnknownExample(name);
  return (await load()).example;
}

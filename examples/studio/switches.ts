/**
 * What can be switched while the studio runs, in the folder of its state. As a program:
 *
 *   PROVIDER=anthropic switches provider     who generates from now on; without the variable it prints who does
 *   switches slower on|off                      one generation at a time, or as many as usual
 */
import { switchesOf } from '../shared/switches';
import { printAnswer } from '../shared/program';

export const PROVIDERS = ['openai', 'anthropic'] as const;
export type Provider = (typeof PROVIDERS)[number];

export interface Switches {
  /** Editors keep what is written where it is written, and show that nothing is saved. */
  localOnly: boolean;
  /** The application has another signing secret of Stripe's endpoint than Stripe: a variable was forgotten. */
  wrongWebhookSecret: boolean;
  provider: Provider;
  slower: boolean;
}

export const {
  read: readSwitches,
  set: setSwitches,
  follow: followSwitches,
} = switchesOf<Switches>({ localOnly: false, wrongWebhookSecret: false, provider: 'openai', slower: false });

function main([what, to]: string[]): string {
  const directory = process.cwd();
  const { PROVIDER: wanted } = process.env;
  if (what === 'provider' && wanted === undefined) return readSwitches(directory).provider;
  const provider = PROVIDERS.find((name) => name === wanted);
  if (what === 'provider' && provider !== undefined) return setSwitches(directory, { provider }).provider;
  if (what === 'slower' && (to === 'on' || to === 'off'))
    return `slower: ${setSwitches(directory, { slower: to === 'on' }).slower}`;
  throw new Error('expected: switches provider, with PROVIDER or without, or switches slower on|off');
}

if (require.main === module) printAnswer(() => main(process.argv.slice(2)));

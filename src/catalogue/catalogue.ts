import type { LoadedConfig } from '../config/load';
import type { Card } from './card';

/** The runbooks that are there, in the order in which people see them. */
export interface Catalogue {
  cards: readonly Card[];
  /** The card of a runbook by its wire name. */
  cardOf(name: string): Card | undefined;
  /** Every wire name, for messages: `migrateDatabase, backUpDatabase`. */
  names: string;
}

export interface WithCatalogue {
  catalogue: Catalogue;
}

/** A configuration together with the runbooks that it can name. */
export interface Project extends LoadedConfig, WithCatalogue {}

/** Makes a catalogue of cards. Throws when two have one name. */
export function createCatalogue(cards: readonly Card[]): Catalogue {
  const byName = new Map<string, Card>();
  for (const card of cards) {
    if (byName.has(card.name))
      throw new Error(`two runbooks are called "${card.name}"; a wire name must be its own`);
    byName.set(card.name, card);
  }
  return { cards, cardOf: (name) => byName.get(name), names: [...byName.keys()].join(', ') };
}

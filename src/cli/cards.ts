import { cardOf, cards } from '../catalogue/cards';
import type { Card } from '../catalogue/card';
import { CliError, EXIT } from './errors';

/** The card of that name; upper and lower case do not count. Throws CliError (not found) with the nearest names. */
export function findCard(name: string): Card {
  const found = cardOf(name) ?? cards.find((card) => card.name.toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found;
  const known = cards.map((card) => card.name).join(', ');
  throw new CliError(EXIT.notFound, `There is no runbook called "${name}". Known: ${known}.`);
}

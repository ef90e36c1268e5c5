import type { Catalogue } from '../catalogue/catalogue';
import type { Card } from '../catalogue/card';
import { suggestion } from '../config/problem-text';
import { CliError, EXIT } from './errors';

/** The card of that name; upper and lower case do not count. Throws CliError (not found) with the nearest names. */
export function findCard({ cards, cardOf, names }: Catalogue, name: string): Card {
  const found = cardOf(name) ?? cards.find((card) => card.name.toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found;
  const near = suggestion(
    name,
    cards.map((card) => card.name),
  ).replace(/^; d/, ' D');
  throw new CliError(EXIT.notFound, `There is no runbook called "${name}". Known: ${names}.${near}`);
}

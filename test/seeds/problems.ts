import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { incidentSchema } from '../../src/activities/incidents/settings';
import { PACKAGE_ROOT } from '../../src/config/version';
import { ownCatalogue } from '../../src/packs/own';
import type { Seed, SeedLine } from '../../src/packs/seeds/read';

export type Said = ReadonlyMap<string, ReadonlySet<string>>;

/** Every line that names what is not there. */
export function problemsOf(seeds: Seed[], said: Said): string[] {
  const symptoms = new Map(ownCatalogue.cards.map((card) => [card.name, new Set(card.symptoms)]));
  return linesOf(seeds).flatMap(({ where, line }) =>
    [
      ...unsaid(line.by, said),
      ...unsaid(line.task, said),
      ...unsaid(line.symptom, symptoms),
      ...noAction(line),
      ...noHeading(line),
      ...noKey(line),
    ].map((problem) => `${where}: ${problem}`),
  );
}

export function linesOf(seeds: Seed[]): { where: string; section: string; line: SeedLine }[] {
  return seeds.flatMap(({ name, sections }) =>
    Object.entries(sections).flatMap(([title, lines]) =>
      lines.map((line) => ({ where: `${name}: ${title}: ${line.step}`, section: `${name}: ${title}`, line })),
    ),
  );
}

/** Each text as a whole; what ends with `…` is the beginning of one. */
function unsaid(named: SeedLine['by'], said: Said): string[] {
  return Object.entries(named ?? {}).flatMap(([runbook, texts]) => {
    const known = said.get(runbook);
    if (known === undefined) return [`there is no ${runbook}`];
    return texts
      .filter((text) => ![...known].some((one) => one === text || isBeginning(text, one)))
      .map((text) => `${runbook} does not say "${text}"`);
  });
}

function isBeginning(text: string, of: string): boolean {
  return text.endsWith('…') && of.startsWith(text.slice(0, -1));
}

function noAction({ action }: SeedLine): string[] {
  const known = incidentSchema.parse({}).standardActions;
  return action === undefined || known.includes(action) ? [] : [`no post-mortem begins with "${action}"`];
}

function noHeading({ page }: SeedLine): string[] {
  if (page === undefined) return [];
  const [file, heading] = page.split('#');
  const text = readFileSync(join(PACKAGE_ROOT, file!), 'utf8');
  return new RegExp(`^#+ ${heading!}$`, 'm').test(text) ? [] : [`there is no ${page}`];
}

function noKey({ at }: SeedLine): string[] {
  return Object.entries(at ?? {}).flatMap(([example, path]) => {
    const file = exampleFile(example);
    if (!existsSync(file)) return [];
    const found = valuesAt(parse(readFileSync(file, 'utf8')), path.split('.'));
    return found.length > 0 ? [] : [`the example ${example} has no ${path}`];
  });
}

export function exampleFile(example: string): string {
  return join(PACKAGE_ROOT, 'examples', example, 'runbooks.yaml');
}

/** `*` is any key. */
function valuesAt(value: unknown, [key, ...others]: string[]): unknown[] {
  if (key === undefined) return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value)
    .filter(([name]) => key === '*' || name === key)
    .flatMap(([, inner]) => valuesAt(inner, others));
}

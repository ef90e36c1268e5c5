import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/config/version';
import { ownCatalogue } from '../../src/packs/own';
import { renderSeeds } from '../../src/packs/seeds/page';
import { readSeeds } from '../../src/packs/seeds/read';
import { exampleFile, linesOf, problemsOf } from './problems';
import { ranByRunbook } from './ran';
import { saidByRunbook } from './said';

const areas = readdirSync(join(PACKAGE_ROOT, 'src', 'workflows'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !['kit', 'guard'].includes(entry.name))
  .map(({ name }) => name);
const seeds = readSeeds();
const lines = linesOf(seeds);
const said = saidByRunbook(areas);

it('the committed page is that of the table', () => {
  expect(readFileSync(join(PACKAGE_ROOT, 'docs', 'seeds.md'), 'utf8')).toBe(renderSeeds(seeds));
});

it('every step is done as its line says, by code, card, page and example as they are', () => {
  expect(problemsOf(seeds, said)).toEqual([]);
});

it('a step that was renamed is noticed, also where another runbook still says it', () => {
  const renamed = new Map(said);
  renamed.set('drainQueueBacklog', without('drainQueueBacklog', 'Look at the queues'));
  expect(problemsOf(seeds, renamed)).toContain(
    'travel: 3 Monitoring Stack: queues, with alerts on what waits and fails: drainQueueBacklog does not say "Look at the queues"',
  );
  expect(said.get('releaseBackup')).not.toContain('Look at the queues');
  expect(said.get('recoverSearchIndexing')).toContain('Pause …');
});

function without(runbook: string, text: string): Set<string> {
  return new Set([...said.get(runbook)!].filter((one) => one !== text));
}

it('what the table names of a runbook really ran in its stored histories', () => {
  const ran = ranByRunbook();
  const named = new Map<string, string[]>();
  for (const { line } of lines)
    for (const [runbook, texts] of Object.entries(line.by ?? {}))
      named.set(runbook, [...(named.get(runbook) ?? []), ...texts]);
  const never = [...named].filter(
    ([runbook, texts]) => !texts.some((text) => hasRun(text, ran.get(runbook))),
  );
  expect(never.map(([runbook]) => runbook)).toEqual([]);
});

function hasRun(text: string, titles: Set<string> | undefined): boolean {
  const pattern = text
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return [...(titles ?? [])].some((title) => new RegExp(`^${pattern}$`, 's').test(title));
}

it.each(ownCatalogue.cards.map((card) => [card.name, card] as const))(
  'the card of %s names the written runbooks that it stands for, and those have a line for it',
  (name, { from = [] }) => {
    expect(from.length).toBeGreaterThan(0);
    for (const section of from) {
      const names = lines
        .filter((one) => one.section === section)
        .flatMap(({ line }) => [line.by, line.task, line.symptom].flatMap((one) => Object.keys(one ?? {})));
      expect({ section, names }).toMatchObject({ names: expect.arrayContaining([name]) as string[] });
    }
  },
);

it('the five documents are there, with the examples that are made of them as far as they are built', () => {
  expect(seeds.map(({ name }) => name)).toEqual(['appointments', 'booking', 'assistant', 'studio', 'travel']);
  expect(existsSync(exampleFile('booking'))).toBe(true);
  const named = new Set(lines.flatMap(({ line }) => Object.keys(line.at ?? {})));
  expect([...named].sort()).toEqual(seeds.map(({ name }) => name).sort());
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderCatalogue } from '../../src/catalogue/page';
import { backupsSchema, canarySchema, offsiteSchema, restoreSchema } from '../../src/config/backup-schema';
import { migrationsSchema } from '../../src/config/migration-schema';
import { PACKAGE_ROOT } from '../../src/config/version';
import { ownCatalogue } from '../../src/packs/own';

it('the committed catalogue is that of the cards, and has every runbook', () => {
  const page = readFileSync(join(PACKAGE_ROOT, 'docs', 'catalogue.md'), 'utf8');
  expect(page).toBe(renderCatalogue(ownCatalogue));
  for (const { name } of ownCatalogue.cards) expect(page).toContain(`## ${name}`);
});

it.each(ownCatalogue.cards.map((card) => [card.name, card] as const))(
  'the card of %s is complete and its example is a valid input',
  (_, card) => {
    for (const part of [card.symptoms, card.diagnosis, card.resolution, card.prevention, card.escalation]) {
      expect(part.length).toBeGreaterThan(0);
    }
    expect(card.input.safeParse(card.example)).toMatchObject({ success: true });
  },
);

it.each(
  Object.entries({
    backups: backupsSchema,
    'backups.offsite': offsiteSchema,
    'backups.retention': backupsSchema.shape.retention.unwrap(),
    restore: restoreSchema,
    canary: canarySchema,
    migrations: migrationsSchema,
  }),
)('every setting under %s has its place in the documentation', (_, { shape }) => {
  const docs = join(PACKAGE_ROOT, 'docs');
  const pages = readdirSync(docs).filter((name) => name.endsWith('.md'));
  const text = pages.map((name) => readFileSync(join(docs, name), 'utf8')).join('\n');
  // `kind` has one value, which is the default.
  const missing = Object.keys(shape).filter(
    (key) => key !== 'kind' && !new RegExp(`\\b${key}(\`|: )`).test(text),
  );
  expect(missing).toEqual([]);
});

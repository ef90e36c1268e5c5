import { z } from 'zod';
import { fail } from '../../../support/failure';
import { NAME, sortFiles, type Folder, type Layout } from './layout';

const SHAPE = 'the NAME.sql that meta/_journal.json lists, with NAME.down.sql for the way back';
const JOURNAL = 'meta/_journal.json';
const SCRIPT = new RegExp(`^${NAME}\\.sql$`);
const DOWN = /\.down\.sql$/;

const journalSchema = z.object({ entries: z.array(z.object({ idx: z.number(), tag: z.string() })) });

/** `NAME.sql` in the order of Drizzle's journal; Drizzle itself reads no way back, and minds none. */
export const drizzle: Layout = {
  shape: SHAPE,
  signOf: ({ files }) => files.find((file) => file === JOURNAL),
  isName: (name) => SCRIPT.test(name) && !DOWN.test(name),
  sort: (folder) => {
    const order = orderOf(folder);
    return sortFiles(folder, {
      shape: SHAPE,
      up: (path) => (order.has(path) ? { name: path, key: path.replace(/\.sql$/, '') } : undefined),
      down: (path) =>
        SCRIPT.test(path) && DOWN.test(path) && !order.has(path) ? path.replace(DOWN, '') : undefined,
      downPath: (key) => `${key}.down.sql`,
      own: (path) => /^meta\/.*\.json$|^(schema|relations)\.ts$/.test(path),
      compare: (a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0),
      why: (path) =>
        SCRIPT.test(path) ? `${JOURNAL} does not list it, so Drizzle would not apply it` : undefined,
    });
  },
};

/** Place of each script. Throws MigrationInvalid for a journal that is none, MigrationMissing where it lists a file that is not there. */
function orderOf(folder: Folder): Map<string, number> {
  if (!folder.files.includes(JOURNAL))
    throw fail(
      'MigrationMissing',
      `There is no ${JOURNAL}, which gives the order. Correct \`migrations.directory\`.`,
    );
  const entries = journalOf(folder.text(JOURNAL)).sort((a, b) => a.idx - b.idx);
  const missing = entries.find(({ tag }) => !folder.files.includes(`${tag}.sql`));
  if (missing !== undefined)
    throw fail('MigrationMissing', `${JOURNAL} lists ${missing.tag}, and there is no ${missing.tag}.sql.`);
  return new Map(entries.map(({ tag }, index) => [`${tag}.sql`, index]));
}

function journalOf(text: string): z.infer<typeof journalSchema>['entries'] {
  try {
    return journalSchema.parse(JSON.parse(text)).entries;
  } catch {
    throw fail(
      'MigrationInvalid',
      `${JOURNAL} is no journal of Drizzle: it has no list of entries. Nothing was changed.`,
    );
  }
}

// Writes migrations over every kind of statement into a folder, a tenth of the down scripts wrong, and says which:
// `node scripts/migrations/write-set.mjs <folder> [layout] [variants]`. `compare.mjs` must find exactly those.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BASE, KINDS, MISTAKES } from './statement-kinds.mjs';

const EVERY = 10;
/** What a migration is called, and where its scripts lie. */
const flat = (name) => ({ called: `${name}.sql`, up: `${name}.sql`, down: `${name}.down.sql` });
const inFolder = (script) => (name) => ({ called: name, up: `${name}/${script}`, down: `${name}/down.sql` });
const LAYOUTS = {
  flat,
  drizzle: flat,
  supabase: (name) => ({ called: `${name}.sql`, up: `${name}.sql` }),
  diesel: inFolder('up.sql'),
  prisma: inFolder('migration.sql'),
  'golang-migrate': (name) => ({ called: `${name}.up.sql`, up: `${name}.up.sql`, down: `${name}.down.sql` }),
  flyway: (name) => {
    const called = `V${name.replace('_', '__')}.sql`;
    return { called, up: called, down: called.replace(/^V/, 'U') };
  },
};

const [folder, layout = 'flat', variants = '4'] = process.argv.slice(2);
const placesOf = LAYOUTS[layout];
if (folder === undefined || placesOf === undefined)
  throw new Error(
    `Say into which folder, in which layout: write-set.mjs <folder> [${Object.keys(LAYOUTS).join('|')}]`,
  );
const hasWaysBack = placesOf('x').down !== undefined;
mkdirSync(folder, { recursive: true });
const names = [];
const wrong = {};
let count = 0;
write('base', BASE);
for (let n = 1; n <= Number(variants); n += 1)
  for (const [kind, { up, down }] of Object.entries(KINDS)) {
    const [t, x] = [`t${n}`, `${kind.replaceAll('-', '_')}_${n}`];
    const right = down(t, x, n);
    const mistakes = Object.entries(MISTAKES);
    const [mistake, make] = mistakes[Math.floor(count / EVERY) % mistakes.length];
    const broken = hasWaysBack && count % EVERY === EVERY - 1;
    const name = write(`${kind}_${n}`, up(t, x, n), broken ? make(right, t) : right);
    if (broken) wrong[name] = mistake;
  }
if (layout === 'drizzle')
  put('meta/_journal.json', JSON.stringify({ entries: names.map((tag, idx) => ({ idx, tag })) }));
put('wrong.json', JSON.stringify(wrong, null, 2));
console.log(`${count} migrations in ${folder}, ${Object.keys(wrong).length} with a wrong down script`);

function write(what, up, down) {
  count += 1;
  const name = `${String(count).padStart(4, '0')}_${what}`;
  names.push(name);
  const places = placesOf(name);
  put(places.up, up);
  if (down !== undefined && places.down !== undefined) put(places.down, down);
  return places.called;
}

function put(path, text) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), `${text}\n`);
}

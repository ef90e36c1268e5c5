// Writes migrations over every kind of statement into a folder, a tenth of the down scripts wrong, and says which:
// `node scripts/migrations/write-set.mjs <folder>`. `compare.mjs` must find exactly those.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BASE, KINDS, MISTAKES } from './statement-kinds.mjs';

const VARIANTS = 4;
const EVERY = 10;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Say into which folder: write-set.mjs <folder>');
mkdirSync(folder, { recursive: true });
const wrong = {};
let count = 0;
write('base', BASE);
for (let n = 1; n <= VARIANTS; n += 1)
  for (const [kind, { up, down }] of Object.entries(KINDS)) {
    const [t, x] = [`t${n}`, `${kind.replaceAll('-', '_')}_${n}`];
    const right = down(t, x, n);
    const mistakes = Object.entries(MISTAKES);
    const [mistake, make] = mistakes[Math.floor(count / EVERY) % mistakes.length];
    const broken = count % EVERY === EVERY - 1;
    const name = write(`${kind}_${n}`, up(t, x, n), broken ? make(right, t) : right);
    if (broken) wrong[name] = mistake;
  }
writeFileSync(join(folder, 'wrong.json'), `${JSON.stringify(wrong, null, 2)}\n`);
console.log(`${count} migrations in ${folder}, ${Object.keys(wrong).length} with a wrong down script`);

function write(what, up, down) {
  count += 1;
  const name = `${String(count).padStart(4, '0')}_${what}`;
  writeFileSync(join(folder, `${name}.sql`), `${up}\n`);
  if (down !== undefined) writeFileSync(join(folder, `${name}.down.sql`), `${down}\n`);
  return `${name}.sql`;
}

/** As a program in the folder of the sample's state: copies its log, and prints where the copy is. INCIDENT names it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const incident = (process.env['INCIDENT'] ?? 'unnamed').replaceAll(/[^\w.-]/g, '_');
const lines = ['app.log.1', 'app.log']
  .filter((name) => existsSync(name))
  .map((name) => readFileSync(name, 'utf8'));
const copy = join('evidence', `${incident}.log`);
mkdirSync('evidence', { recursive: true, mode: 0o700 });
// It says when it was taken, also where nothing was logged.
writeFileSync(copy, `preserved at ${new Date().toISOString()}\n${lines.join('')}`, { mode: 0o600 });
console.log(copy);

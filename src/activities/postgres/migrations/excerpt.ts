import { loadModule, scan } from 'libpg-query';
import type { Script } from './parse';

/** Of one script: enough to see what it is, and little enough for every history and every page. */
const MOST = 600;
/** Longer ones are data, which nobody needs to see, or keys, which nobody may. */
const LONGEST_LITERAL = 24;

/** The SQL of a script for whoever approves it: on one line, without comments, passwords and long literals. Cut where it is long. */
export async function excerptOf(script: Script): Promise<string> {
  await loadModule();
  const parts: string[] = [];
  let length = 0;
  for (const { text } of script.statements) {
    if (length > MOST) break;
    const shown = await withoutSecrets(text);
    parts.push(shown);
    length += shown.length + 2;
  }
  const all = parts.join('; ');
  return all.length <= MOST ? all : `${all.slice(0, MOST - 2)} …`;
}

async function withoutSecrets(sql: string): Promise<string> {
  const bytes = Buffer.from(sql);
  const { tokens } = await scan(sql).catch(() => ({ tokens: [] }));
  let shown = '';
  let end = 0;
  let before = '';
  for (const token of tokens) {
    if (token.tokenName.endsWith('COMMENT')) continue;
    const text = bytes.subarray(token.start, token.end).toString();
    const gap = shown === '' || token.start === end ? '' : ' ';
    shown += `${gap}${token.tokenName === 'SCONST' ? literal(text, before) : text}`;
    before = text.toLowerCase();
    end = token.end;
  }
  return shown;
}

function literal(text: string, before: string): string {
  if (before === 'password') return "'***'";
  return text.length > LONGEST_LITERAL ? "'…'" : text;
}

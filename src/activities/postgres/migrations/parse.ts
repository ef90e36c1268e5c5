import { loadModule, parse, scan, type Node, type RawStmt } from 'libpg-query';
import { fail } from '../../support/failure';
import { runsOutsideTransaction, usesNewEnumValue } from './statements';
import { refusalOf } from './forbidden-statements';
import { forTheRest, refusalInParts } from './parts';

/** One statement of a script, as it is sent to the server. */
export interface Statement {
  /** Counted from 1. */
  number: number;
  text: string;
  /** Where it begins in the file; lines count from 1. */
  line: number;
  /** Offset of its first character in the file, in UTF-16 units as JavaScript counts. */
  offset: number;
  node: Node;
  transactional: boolean;
}

export interface Script {
  file: string;
  text: string;
  statements: Statement[];
  /** All of it runs in one transaction together with its ledger row. */
  transactional: boolean;
  /** `-- runbooks: split` at its head: each statement commits by itself. */
  split: boolean;
}

/** Data belongs into batches or COPY, and the parse tree of a file takes a hundred times its size in memory. */
const MAX_SIZE_BYTES = 5 * 1024 * 1024;

const SPLIT_HEADER = /^--\s*runbooks:\s*split\s*$/i;

/**
 * Splits a script with PostgreSQL's own parser. Throws MigrationInvalid for what is empty, not UTF-8, does not parse,
 * or would take control of the transaction, the timeouts or the role away from us.
 */
export async function parseScript(file: string, content: Buffer): Promise<Script> {
  const text = await endAtBreakpoints(decode(file, content));
  const raw = await parseText(file, text);
  const bytes = Buffer.from(text);
  const found = raw.map((each, index) => toStatement(text, bytes, each, index));
  if (found.length === 0) throw invalid(file, 'holds no statement');
  refuse(file, text, found, refusalOf);
  const split = await hasSplitHeader(text);
  const nodes = found.map(({ node }) => node);
  const transactional = !split && found.every((one) => one.transactional) && !usesNewEnumValue(nodes);
  if (transactional) return { file, text, statements: found, transactional, split };
  refuse(file, text, found, refusalInParts);
  const statements = found.map((one) => ({ ...one, text: forTheRest(one.node, one.text) }));
  return { file, text, statements, transactional, split };
}

function refuse(
  file: string,
  text: string,
  statements: Statement[],
  why: (node: Node) => string | undefined,
): void {
  for (const { node, offset } of statements) {
    const refusal = why(node);
    if (refusal !== undefined) throw invalidAt(file, text, offset, refusal);
  }
}

const BREAKPOINT = '--> statement-breakpoint';

/** Drizzle ends a statement with this comment, with or without a semicolon. Every offset stays what it was. */
export async function endAtBreakpoints(text: string): Promise<string> {
  if (!text.includes(BREAKPOINT)) return text;
  await loadModule();
  const bytes = Buffer.from(text);
  const { tokens } = await scan(text).catch(() => ({ tokens: [] }));
  for (const { start, text: comment } of tokens)
    if (comment.startsWith(BREAKPOINT)) bytes.write(';--', start);
  return bytes.toString('utf8');
}

function decode(file: string, content: Buffer): string {
  if (content.length > MAX_SIZE_BYTES) {
    throw invalid(
      file,
      `has ${content.length} bytes, more than ${MAX_SIZE_BYTES}. Split it, or load data in another way`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    const at = firstInvalidByte(content);
    const line = content.subarray(0, at).toString('utf8').split('\n').length;
    throw invalid(
      file,
      `is not UTF-8: byte ${at}, in line ${line}, is wrong. Save it as UTF-8 and start again`,
    );
  }
  if (text.startsWith('\uFEFF'))
    throw invalid(file, 'begins with a byte order mark. Save it as UTF-8 without one');
  const zero = text.indexOf('\0');
  if (zero >= 0) throw invalidAt(file, text, zero, 'a NUL character, which PostgreSQL does not accept');
  if (text.trim() === '') throw invalid(file, 'is empty');
  return text;
}

/** Offset of the first byte that belongs to no character. */
function firstInvalidByte(content: Buffer): number {
  const lossy = content.toString('utf8');
  const replacement = '\uFFFD';
  for (let at = lossy.indexOf(replacement); at >= 0; at = lossy.indexOf(replacement, at + 1)) {
    const byte = Buffer.byteLength(lossy.slice(0, at));
    // A file may hold that very character.
    if (!content.subarray(byte, byte + 3).equals(Buffer.from(replacement))) return byte;
  }
  return content.length;
}

async function parseText(file: string, text: string): Promise<RawStmt[]> {
  await loadModule();
  try {
    return (await parse(text)).stmts ?? [];
  } catch (error) {
    const { cursorPosition } = (error as { sqlDetails?: { cursorPosition: number } }).sqlDetails ?? {
      cursorPosition: 0,
    };
    // The parser counts characters; JavaScript counts UTF-16 units.
    const offset = [...text].slice(0, Math.max(0, cursorPosition)).join('').length;
    throw invalidAt(file, text, offset, explainSyntaxError(text, offset, (error as Error).message));
  }
}

function explainSyntaxError(text: string, offset: number, message: string): string {
  if (text[offset] === '\\') {
    return `${message} (SQLSTATE 42601). Hint: commands of psql such as \\d, \\i or \\copy are no SQL; write the statements themselves`;
  }
  if (/\bcopy\b[^;]*\bfrom\s+stdin\b[^;]*;\s*$/i.test(text.slice(0, offset))) {
    return `${message} (SQLSTATE 42601). Hint: COPY FROM stdin with its data in the file works in psql only; write INSERT`;
  }
  return `${message} (SQLSTATE 42601). Hint: correct the SQL here; nothing was sent to any server`;
}

/** The parser counts bytes where it tells where a statement is. */
function toStatement(text: string, content: Buffer, raw: RawStmt, index: number): Statement {
  const start = raw.stmt_location ?? 0;
  const end = raw.stmt_len === undefined || raw.stmt_len === 0 ? content.length : start + raw.stmt_len;
  const whole = content.subarray(start, end).toString('utf8');
  const leading = whole.length - whole.trimStart().length;
  const offset = content.subarray(0, start).toString('utf8').length + leading;
  const node = raw.stmt ?? ({} as Node);
  return {
    number: index + 1,
    text: whole.trim(),
    line: lineOf(text, offset),
    offset,
    node,
    transactional: !runsOutsideTransaction(node),
  };
}

/** Only in the comments before the first statement: further down it would be overlooked by a reader. */
async function hasSplitHeader(text: string): Promise<boolean> {
  const { tokens } = await scan(text);
  for (const token of tokens) {
    if (token.tokenName !== 'SQL_COMMENT' && token.tokenName !== 'C_COMMENT') return false;
    if (SPLIT_HEADER.test(token.text.trim())) return true;
  }
  return false;
}

/** Line of an offset in a text; lines count from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** The line of a place in a file with a caret under it. */
export function caretAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  const line = text.slice(start, end === -1 ? undefined : end).replace(/\r$/, '');
  // Of a very long line only the surroundings, so that the caret can be seen.
  const from = Math.max(0, offset - start - 80);
  const shown = line.slice(from, from + 160);
  const indent = shown.slice(0, offset - start - from).replace(/[^\t]/g, ' ');
  return `  ${shown}\n  ${indent}^`;
}

function invalid(file: string, why: string): Error {
  return fail('MigrationInvalid', `${file} ${why}. Nothing was changed.`);
}

function invalidAt(file: string, text: string, offset: number, why: string): Error {
  const line = lineOf(text, offset);
  return fail(
    'MigrationInvalid',
    `${file}:${line}: ${why}.\n${caretAt(text, offset)}\nNothing was changed.`,
    {
      details: { file, line },
    },
  );
}

import { BadAlert } from './sender';

/** Deeper than any sender's body, and far from where walking it would hurt. */
export const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/**
 * Parses a raw body as JSON. `maxDepth` counts nested arrays and objects; `maxBytes` is for callers whose server has
 * no limit of its own. Throws `BadAlert`.
 */
export function readJson(
  body: Buffer,
  { maxDepth = MAX_DEPTH, maxBytes = Infinity }: { maxDepth?: number; maxBytes?: number } = {},
): unknown {
  if (body.length > maxBytes) {
    throw new BadAlert(`body: got ${body.length} bytes, wanted at most ${maxBytes}`);
  }
  if (body.length === 0) throw new BadAlert('body: got nothing, wanted JSON');
  // Before anything is built from it: what is refused for its depth has cost no memory.
  if (isDeeperThan(body, maxDepth)) {
    throw new BadAlert(`body: got more than ${maxDepth} nested arrays and objects`);
  }
  const text = decode(body);
  try {
    return JSON.parse(text);
  } catch {
    // V8's message quotes the body.
    throw new BadAlert('body: got something that is no JSON, wanted JSON');
  }
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new BadAlert('body: got bytes that are no UTF-8, wanted JSON in UTF-8');
  }
}

/** In UTF-8 the bytes of brackets and quotes occur nowhere inside other characters. */
function isDeeperThan(body: Buffer, maxDepth: number): boolean {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!;
    if (inText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (OPENING.has(byte)) {
      if (++depth > maxDepth) return true;
    } else if (CLOSING.has(byte)) depth--;
  }
  return false;
}

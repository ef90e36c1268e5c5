/** People who write, as an editor saves for them: one request after the other, through the front door. */
import { setTimeout as sleep } from 'node:timers/promises';

const SAVE_EVERY_MS = 400;
const PATIENCE_MS = 10_000;

interface Stored {
  content: string;
  version: number;
}

/**
 * Starts one writer for each document; the first one closes the tab when a save fails, and is back when somebody has
 * stored something else. Returns how to stop them; a save that has begun is finished.
 */
export function startWriters(url: string, documents: string[]): () => Promise<void> {
  const stop = new AbortController();
  const running = documents.map((document, index) =>
    write(`${url}/api/documents/${document}`, {
      editor: `${url}/api/editor`,
      session: `writer-${index}`,
      leaves: index === 0,
      signal: stop.signal,
    }),
  );
  return async () => {
    stop.abort();
    await Promise.all(running);
  };
}

interface Writer {
  editor: string;
  session: string;
  leaves: boolean;
  signal: AbortSignal;
}

async function write(document: string, writer: Writer): Promise<void> {
  let stored: Stored | undefined;
  for (let words = 1; !writer.signal.aborted; words += 1) {
    // A save that fails is the application's to count and to keep: the editor reads what is stored, and goes on.
    stored = await turn(document, stored, words, writer).catch(() => undefined);
    await rest(writer);
  }
}

/** What is stored after it; undefined where that must be read again. */
async function turn(
  document: string,
  stored: Stored | undefined,
  words: number,
  writer: Writer,
): Promise<Stored | undefined> {
  const { localOnly } = await ask<{ localOnly: boolean }>(writer.editor);
  if (localOnly) return undefined;
  const { content, version } = stored ?? (await ask<Stored>(document));
  const next = `${content.slice(-2_000)} word${words}`;
  const save = { base: version, content: next, session: writer.session };
  const saved = await ask<{ version: number }>(`${document}/autosave`, save).catch(async (error: Error) => {
    if (writer.leaves) await stayAway(document, version, writer);
    throw error;
  });
  return { content: next, version: saved.version };
}

/** What was written is in the journal alone, until it is brought back. */
async function stayAway(document: string, version: number, writer: Writer): Promise<void> {
  while (!writer.signal.aborted) {
    const now = await ask<Stored>(document).catch(() => undefined);
    if (now !== undefined && now.version > version) return;
    await rest(writer);
  }
}

const rest = ({ signal }: Writer): Promise<void> =>
  sleep(SAVE_EVERY_MS, undefined, { signal }).catch(() => undefined);

async function ask<T>(url: string, save?: object): Promise<T> {
  const answer = await fetch(url, {
    ...(save === undefined
      ? {}
      : { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(save) }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return (await answer.json()) as T;
}

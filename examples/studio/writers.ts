/** People who write, as an editor saves for them: one request after the other, through the front door. */
import { setTimeout as sleep } from 'node:timers/promises';

const SAVE_EVERY_MS = 400;
const PATIENCE_MS = 10_000;

interface Stored {
  content: string;
  version: number;
}

/** Starts one writer for each document. Returns how to stop them; a save that has begun is finished. */
export function startWriters(url: string, documents: string[]): () => Promise<void> {
  const stop = new AbortController();
  const running = documents.map((document, index) => write(url, document, `writer-${index}`, stop.signal));
  return async () => {
    stop.abort();
    await Promise.all(running);
  };
}

async function write(url: string, document: string, session: string, signal: AbortSignal): Promise<void> {
  let stored: Stored | undefined;
  for (let words = 1; !signal.aborted; words += 1) {
    // A save that fails is the application's to count and to keep: the editor reads what is stored, and goes on.
    stored = await turn(url, document, { stored, session, words }).catch(() => undefined);
    await sleep(SAVE_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** What is stored after it; undefined where that must be read again. */
async function turn(
  url: string,
  document: string,
  { stored, session, words }: { stored: Stored | undefined; session: string; words: number },
): Promise<Stored | undefined> {
  const { localOnly } = await ask<{ localOnly: boolean }>(`${url}/api/editor`);
  if (localOnly) return undefined;
  const { content, version } = stored ?? (await ask<Stored>(`${url}/api/documents/${document}`));
  const next = `${content.slice(-2_000)} word${words}`;
  const saved = await ask<{ version: number }>(`${url}/api/documents/${document}/autosave`, {
    base: version,
    content: next,
    session,
  });
  return { content: next, version: saved.version };
}

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

import type { IncomingMessage, ServerResponse } from 'node:http';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fetch } from 'undici';
import { serve } from '../support/local-server';

interface Row {
  id: string;
  version: string;
  commit: string;
  state: string;
  pid?: number;
  port?: number;
}

/**
 * An application of which several versions run side by side, each in a process of its own, and its proxy, which sends customers
 * to the one in front, counts what they get, and has a few customers of its own.
 */
export interface BlueGreen {
  /** Of the proxy. */
  url: string;
  /** A command of its deployment tool. */
  tool: (verb: string) => { run: string[]; timeoutSeconds: number };
  front: () => string;
  rows: () => Row[];
  calls: () => string[];
  /** Versions that customers have got an answer of. */
  served: Set<string>;
  /** E.g. `bad`, with `/quote 2.0.0`; nothing takes it away. */
  set: (what: 'bad' | 'breaks' | 'slow', lines?: string) => void;
  /** A person puts a version beside the one in front; `calls` has nothing of it. */
  putBeside: (version: string, commit: string) => void;
  /** One version in front, nothing else. */
  reset: () => void;
  stop: () => Promise<void>;
}

const TOOL = join(__dirname, 'blue-green-tool.cjs');
const WINDOW_MS = 1_000;

export async function startBlueGreen(): Promise<BlueGreen> {
  const directory = mkdtempSync(join(tmpdir(), 'blue-green-'));
  const file = join(directory, 'state.json');
  const served = new Set<string>();
  let answers: { at: number; ok: boolean }[] = [];
  const state = () => JSON.parse(readFileSync(file, 'utf8')) as { current: string; deployments: Row[] };
  const frontRow = () => state().deployments.find(({ id }) => id === state().current);

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    response.setHeader('content-type', 'application/json');
    if (request.url === '/numbers') {
      answers = answers.filter(({ at }) => at > Date.now() - WINDOW_MS);
      const failed = answers.filter(({ ok }) => !ok).length;
      return response.end(
        JSON.stringify({ errorRate: answers.length === 0 ? 0 : failed / answers.length, p95: 0.05 }),
      );
    }
    const found = await fetch(`http://127.0.0.1:${frontRow()?.port ?? 1}${request.url}`).catch(
      () => undefined,
    );
    const body = (await found?.json().catch(() => undefined)) as { version?: string } | undefined;
    response.statusCode = found?.status ?? 502;
    return response.end(JSON.stringify(body ?? {}));
  };
  const proxy = await serve((request, response) => void answer(request, response));

  const visit = async (): Promise<void> => {
    const answer = await fetch(`${proxy.url}/pages`).catch(() => undefined);
    const { version } = ((await answer?.json().catch(() => ({}))) ?? {}) as { version?: string };
    if (version !== undefined) served.add(version);
    answers.push({ at: Date.now(), ok: answer?.ok === true });
  };
  const customers = setInterval(() => void visit(), 50);

  const endAll = () => {
    if (!existsSync(file)) return;
    for (const { pid } of state().deployments) {
      try {
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
      } catch {
        // It has gone.
      }
    }
  };
  const set: BlueGreen['set'] = (what, lines) => {
    if (lines === undefined) rmSync(`${file}.${what}`, { force: true });
    else writeFileSync(`${file}.${what}`, lines);
  };
  const byHand = (verb: string, version: string, commit: string) => {
    execFileSync(process.execPath, [TOOL, file, verb], {
      env: { RELEASE_VERSION: version, RELEASE_COMMIT: commit },
    });
    rmSync(`${file}.calls`, { force: true });
  };
  const reset = () => {
    endAll();
    // IDs come again, and their ports would be those of processes that are gone.
    for (const name of readdirSync(directory).filter((one) => one.endsWith('.port')))
      rmSync(join(directory, name));
    set('bad');
    set('breaks');
    set('slow');
    writeFileSync(file, JSON.stringify({ token: 0, current: null, deployments: [] }));
    byHand('deploy-front', '1.0.0', 'a'.repeat(40));
    answers = [];
    served.clear();
  };
  reset();
  return {
    url: proxy.url,
    tool: (verb) => ({ run: [process.execPath, TOOL, file, verb], timeoutSeconds: 60 }),
    front: () => frontRow()?.version ?? 'none',
    rows: () => state().deployments,
    calls: () =>
      existsSync(`${file}.calls`) ? readFileSync(`${file}.calls`, 'utf8').trim().split('\n') : [],
    served,
    set,
    putBeside: (version, commit) => byHand('deploy', version, commit),
    reset,
    stop: async () => {
      clearInterval(customers);
      endAll();
      await proxy.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export const AUTOSAVE_TOKEN = 'tok-of-the-drafts';

/** An application that people write in: it saves, or does not, keeps edits local on demand, and tells owners. */
export async function startAutosaveApp() {
  const state = {
    saves: true,
    localOnly: false,
    switched: [] as boolean[],
    /** Refuses to switch. */
    stuck: false,
    /** By key, so that the same message twice is one. */
    told: new Map<string, { owner: string; drafts: number }>(),
    deafTo: new Set<string>(),
    /** What editors do when edits are saved as usual again, before it answers. */
    onceOff: undefined as (() => Promise<unknown>) | undefined,
  };
  const server = createServer((request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    void readJson(request).then(async (body) => {
      if (request.headers.authorization !== `Bearer ${AUTOSAVE_TOKEN}`)
        return answer(401, { error: 'unauthorized' });
      switch (request.url) {
        case '/desk/probe':
          return state.saves ? answer(200, { saved: true }) : answer(500, { error: 'not saved' });
        case '/desk/local':
          if (state.stuck) return answer(403, { error: 'not allowed' });
          state.localOnly = body['on'] === true;
          state.switched.push(state.localOnly);
          if (!state.localOnly) await state.onceOff?.();
          return answer(200, { localOnly: state.localOnly });
        case '/desk/tell': {
          const { owner, drafts } = body as { owner: string; drafts: number };
          if (state.deafTo.has(owner)) return answer(422, { error: 'no such owner' });
          state.told.set(String(request.headers['idempotency-key']), { owner, drafts });
          return answer(200, { ok: true });
        }
        default:
          return answer(404, { error: 'nothing here' });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    state,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const TEST_PASSWORD = 'pass-of-the-test-account';
export const ADMIN_TOKEN = 'tok-of-the-auth-admin';
const CALLBACK = 'https://app.example/auth/callback';

interface SigningKey {
  kid: string;
  key: KeyObject;
  jwk: Record<string, unknown>;
}

/** A login with published signing keys, and an application that verifies tokens by the keys that it remembers. */
export async function startAuthApp() {
  const calls: string[] = [];
  const issued: string[] = [];
  const makeKey = (kid: string, more: Record<string, unknown> = {}): SigningKey => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256', ...more };
    return { kid, key: privateKey, jwk };
  };
  const usual = () => {
    const key = makeKey('key-1');
    return {
      signing: key,
      published: [key.jwk],
      /** What the application remembers; null: it asks again. */
      remembered: null as string[] | null,
      /** Of the clock of the login, and of what it writes into tokens. */
      aheadSeconds: 0,
      lifetimeSeconds: 3_600,
      withoutKid: false,
      withoutDate: false,
      callbacks: [CALLBACK],
      credentials: {
        OAUTH_CLIENT_ID: 'the-value-of-the-id',
        OAUTH_CLIENT_SECRET: 'the-value-of-the-secret',
      } as Record<string, string>,
      indicator: 'none',
      locked: false,
      /** So many logins fail, and the next one does not. */
      stumbles: 0,
      /** What stands in the answers of these paths. */
      instead: {} as Record<
        string,
        { status?: number; type?: string; headers?: Record<string, string>; body: string } | 'silent'
      >,
      /** It mends the login, when it is asked to start again. */
      redeployMends: undefined as string | undefined,
    };
  };
  let state = usual();

  function token(): string {
    const now = Math.floor(Date.now() / 1_000) + state.aheadSeconds;
    const part = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');
    const kid = state.withoutKid ? {} : { kid: state.signing.kid };
    const signed = `${part({ alg: 'ES256', typ: 'JWT', ...kid })}.${part({ iss: 'https://auth.example', aud: 'app', sub: 'test', iat: now, exp: now + state.lifetimeSeconds })}`;
    const signature = sign('sha256', Buffer.from(signed), {
      key: state.signing.key,
      dsaEncoding: 'ieee-p1363',
    });
    const text = `${signed}.${signature.toString('base64url')}`;
    issued.push(text);
    return text;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '', 'http://auth');
    calls.push(`${request.method} ${pathname}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    if (state.aheadSeconds !== 0)
      response.setHeader('date', new Date(Date.now() + state.aheadSeconds * 1_000).toUTCString());
    if (state.withoutDate) response.sendDate = false;
    const instead = state.instead[pathname];
    if (instead === 'silent') return;
    if (instead !== undefined) {
      const { status = 200, type = 'application/json', headers = {}, body: text } = instead;
      response.writeHead(status, { 'content-type': type, ...headers }).end(text);
      return;
    }
    const bearer = request.headers.authorization?.replace('Bearer ', '') ?? '';
    if (pathname === '/token') {
      if (state.stumbles > 0) {
        state.stumbles -= 1;
        return json(response, 503, {});
      }
      const { password } = JSON.parse(body) as { password?: string };
      if (state.locked || password !== TEST_PASSWORD)
        return json(response, 401, { error: `wrong: ${password}` });
      return json(response, 200, { access_token: token() });
    }
    if (pathname === '/keys') return json(response, 200, { keys: state.published });
    if (pathname === '/status') return json(response, 200, { status: { indicator: state.indicator } });
    if (pathname === '/me') {
      const known = state.remembered ?? state.published.map(({ kid }) => String(kid));
      state.remembered = known;
      const ok = issued.includes(bearer) && known.includes(state.signing.kid);
      return json(response, ok ? 200 : 401, ok ? { user: 'test' } : { error: `invalid token ${bearer}` });
    }
    if (bearer !== ADMIN_TOKEN) return json(response, 403, { error: 'no' });
    if (pathname === '/config')
      return json(response, 200, { callbacks: state.callbacks, env: state.credentials });
    if (pathname === '/cache/clear') state.remembered = null;
    else if (pathname === '/redeploy') {
      state.remembered = null;
      if (state.redeployMends !== undefined) delete state.instead[state.redeployMends];
    } else return json(response, 404, {});
    json(response, 200, { ok: true });
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get state() {
      return state;
    },
    makeKey,
    issued,
    /** Everything that changes something but the session of the test account. */
    changes: () => calls.filter((call) => /cache|redeploy/.test(call)),
    reset: () => {
      calls.length = 0;
      issued.length = 0;
      state = usual();
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type AuthApp = Awaited<ReturnType<typeof startAuthApp>>;

/** Its section of the configuration; the secrets are in AUTH_TEST_PASSWORD and AUTH_ADMIN_TOKEN. */
export function authSection(url: string) {
  const auth = { kind: 'bearer' as const, token: '${env:AUTH_ADMIN_TOKEN}' };
  const timeoutMs = 3_000;
  return {
    login: {
      method: 'POST' as const,
      url: `${url}/token`,
      body: { email: 'runbooks@app.example', password: '${env:AUTH_TEST_PASSWORD}' },
      timeoutMs,
    },
    access: { url: `${url}/me`, headers: { authorization: 'Bearer {token}' }, timeoutMs },
    issuer: 'https://auth.example',
    audience: 'app',
    jwks: { url: `${url}/keys`, timeoutMs },
    provider: { url: `${url}/status`, timeoutMs },
    configuration: { url: `${url}/config`, auth, callbacks: 'callbacks', credentials: 'env', timeoutMs },
    callbackUrls: [CALLBACK],
    credentials: ['OAUTH_CLIENT_ID', 'OAUTH_CLIENT_SECRET'],
    clearCache: { operation: { method: 'POST' as const, url: `${url}/cache/clear`, auth } },
    redeploy: { operation: { method: 'POST' as const, url: `${url}/redeploy`, auth } },
    settleSeconds: 0,
  };
}

export function setAuthSecrets(): void {
  process.env['AUTH_TEST_PASSWORD'] = TEST_PASSWORD;
  process.env['AUTH_ADMIN_TOKEN'] = ADMIN_TOKEN;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

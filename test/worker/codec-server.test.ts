import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { loadProject } from '../../src/check/load-project';
import { temporalOptions } from '../../src/config/temporal';
import { startCodecServer } from '../../src/worker/codec-server';

const directory = mkdtempSync(join(tmpdir(), 'codec-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

process.env['CODEC_KEY'] = randomBytes(32).toString('base64');
const named = [{ id: 'one', secret: '${env:CODEC_KEY}' }];

function write(name: string, temporal: Record<string, unknown>): string {
  const path = join(directory, name);
  writeFileSync(path, stringify({ temporal, services: {} }));
  return path;
}

describe('the codec server', () => {
  const ISSUER = 'https://login.example.com';
  const ORIGIN = 'https://temporal.example.com';
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let keysServer: Server;
  let url: string;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' };
    keysServer = createServer((_, response) => response.end(JSON.stringify({ keys: [jwk] })));
    await new Promise<void>((resolve) => keysServer.listen(0, '127.0.0.1', resolve));
    const { port } = keysServer.address() as AddressInfo;
    const server = {
      listen: '127.0.0.1:0',
      origins: [ORIGIN],
      token: '${env:CODEC_TOKEN}',
      jwt: {
        jwks: `http://127.0.0.1:${port}/`,
        issuer: ISSUER,
        audience: 'codec',
        claim: 'email',
        users: ['ana@example.com'],
      },
    };
    process.env['CODEC_TOKEN'] = 'token-of-the-command';
    ({ url, stop } = await startCodecServer(
      loadProject(write('server.yaml', { codec: { keys: named, server } })),
    ));
  });
  afterAll(async () => {
    await stop?.();
    keysServer?.close();
  });

  const now = () => Math.floor(Date.now() / 1_000);
  const GOOD = () => ({ iss: ISSUER, aud: ['codec'], email: 'ana@example.com', exp: now() + 60 });
  const tokenOf = (claims: object, head: object = { alg: 'ES256', kid: 'one' }, key = privateKey) => {
    const text = [head, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const ask = (way: string, payloads: unknown, token?: string, origin = ORIGIN) =>
    fetch(`${url}/${way}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        origin,
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ payloads }),
    });
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const PLAIN = [{ metadata: { encoding: base64('json/plain') }, data: base64('"tarpaulin"') }];

  it('gives back what it encrypted, to the command and to the users of the UI', async () => {
    const { payloads } = (await (await ask('encode', PLAIN, 'token-of-the-command')).json()) as {
      payloads: object[];
    };
    expect(JSON.stringify(payloads)).toContain(base64('binary/encrypted'));
    const answer = await ask('decode', payloads, tokenOf(GOOD()));
    expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(await answer.json()).toEqual({ payloads: PLAIN });
  });

  it('lets in a browser from the UI only', async () => {
    const preflight = (origin: string) =>
      fetch(`${url}/decode`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const { status, headers } = await preflight(ORIGIN);
    expect([status, headers.get('access-control-allow-headers')]).toEqual([
      204,
      expect.stringContaining('x-namespace'),
    ]);
    expect(
      (await preflight('https://evil.example.com')).headers.get('access-control-allow-origin'),
    ).toBeNull();
  });

  it('lets in nobody else', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const unsigned = `${tokenOf(GOOD(), { alg: 'none', kid: 'one' }).split('.').slice(0, 2).join('.')}.`;
    const tokens = [
      undefined,
      'token-of-nobody',
      unsigned,
      tokenOf({ ...GOOD(), exp: now() - 60 }),
      tokenOf({ ...GOOD(), exp: undefined }),
      tokenOf({ ...GOOD(), nbf: now() + 600 }),
      tokenOf({ ...GOOD(), aud: 'another' }),
      tokenOf({ ...GOOD(), email: 'eve@example.com' }),
      tokenOf({ ...GOOD(), email: undefined }),
      tokenOf({ ...GOOD(), iss: 'https://evil.example.com' }),
      tokenOf(GOOD(), { alg: 'ES256', kid: 'two' }),
      tokenOf(GOOD(), { alg: 'RS256', kid: 'one' }),
      tokenOf(GOOD(), { alg: 'ES256', kid: 'one' }, other),
      `${tokenOf(GOOD())}.more`,
    ];
    for (const token of tokens) expect((await ask('decode', PLAIN, token)).status).toBe(401);
  });

  it('does not start for everybody', async () => {
    const open = loadProject(write('open.yaml', { codec: { keys: named } }));
    await expect(startCodecServer(open)).rejects.toThrow('has neither `token` nor `jwt`');
    const short = loadProject(write('short.yaml', { codec: { keys: [{ id: 'a', secret: 'YWJj' }] } }));
    expect(() => temporalOptions(short)).toThrow('the key a of temporal.codec is not 32 bytes in base64');
  });
});

import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApplicationFactsActivities } from '../../../src/activities/application/facts';
import { configSchema } from '../../../src/config/schema';
import { failureOf, runActivity } from '../../support/postgres';

const place = { service: 'shop', environment: 'production' };
const database = { url: 'postgresql://x', identity: { systemIdentifier: '1234567890123', database: 'shop' } };
const directory = mkdtempSync(join(tmpdir(), 'dr-application-'));
const TOKEN = 'token-of-the-operators';
let server: Server;
let url: string;
let answer: RequestListener;
let asked: IncomingHttpHeaders;

beforeAll(async () => {
  writeFileSync(join(directory, 'token'), TOKEN);
  server = createServer((request, response) => {
    asked = request.headers;
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

function activities(application: Record<string, unknown> = {}) {
  const config = configSchema.parse({
    services: { shop: { environments: { production: { database, application } } } },
  });
  return createApplicationFactsActivities({ config: { ...config, file: '', directory } });
}

const read = (application: Record<string, unknown> = {}) =>
  runActivity(activities({ slowQueries: { url, ...application } }).readApplication, {
    ...place,
    what: 'slowQueries' as const,
  });
const say =
  (status: number, body: unknown): RequestListener =>
  (_, response) =>
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));

describe('readApplication', () => {
  it('sends the configured headers, and returns the JSON', async () => {
    answer = say(200, { queries: [{ seconds: 3 }] });
    const result = await read({ headers: { 'x-api-key': '${file:token}' } });
    expect(asked['x-api-key']).toBe(TOKEN);
    expect(result).toEqual({
      configured: true,
      ok: true,
      status: 200,
      body: { queries: [{ seconds: 3 }] },
      detail: 'answered 200',
    });
  });

  it('keeps what a sick application says about itself', async () => {
    answer = say(503, { database: 'down' });
    expect(await read()).toMatchObject({ ok: false, status: 503, body: { database: 'down' } });
  });

  it('lets no secret through, in whatever part of the answer it stands', async () => {
    answer = say(200, {
      list: [`Bearer ${TOKEN}`],
      [TOKEN]: { url: 'postgresql://app:hunter2hunter2@db/shop' },
    });
    const text = JSON.stringify(await read({ headers: { authorization: '${file:token}' } }));
    expect(text).toContain('postgresql');
    expect(text).not.toMatch(new RegExp(`${TOKEN}|hunter2`));
  });

  it('cuts what would not fit into a history', async () => {
    answer = say(200, { rows: Array.from({ length: 500 }, () => 'x'.repeat(900)) });
    const { ok, body } = await read();
    expect(ok).toBe(true);
    expect((body as { rows: string[] }).rows.map((row) => row.length)).toEqual(
      Array.from({ length: 20 }, () => 500),
    );
  });

  it.each<[string, RequestListener, Record<string, unknown>, RegExp]>([
    ['no JSON', say(200, '<html>'), {}, /^answered 200, but no JSON$/],
    ['too much', say(200, 'x'.repeat(1_100_000)), {}, /^the answer of .* is longer than 1000000 bytes/],
    ['too late', () => undefined, { timeoutMs: 100 }, /^no answer from .* within 0\.1 s$/],
    [
      'a body that never ends',
      (_, response) => void response.writeHead(200).write('{'),
      { timeoutMs: 100 },
      /^no answer from .* within 0\.1 s$/,
    ],
    [
      'nobody there',
      say(200, {}),
      { url: 'http://127.0.0.1:1' },
      /^no answer from 127\.0\.0\.1:1: .*ECONNREFUSED/,
    ],
  ])('%s is a fact and no error', async (_, listener, more, detail) => {
    answer = listener;
    expect(await read(more)).toMatchObject({
      configured: true,
      ok: false,
      body: null,
      detail: expect.stringMatching(detail),
    });
  });

  it('asks nothing where nothing is configured', async () => {
    const result = await runActivity(activities().readApplication, {
      ...place,
      what: 'detailedHealth' as const,
    });
    expect(result).toMatchObject({ configured: false, ok: false, detail: 'no detailedHealth configured' });
  });

  it('names a secret that is not set', async () => {
    const failure = await failureOf(read({ headers: { authorization: '${env:NOT_SET_ANYWHERE}' } }));
    expect(failure.message).toContain('${env:NOT_SET_ANYWHERE}');
  });
});

describe('readPool', () => {
  const command = { run: ['true'] };
  const pool = (application: Record<string, unknown>) => runActivity(activities(application).readPool, place);

  it('finds the numbers where the configuration says', async () => {
    answer = say(200, { pool: { size: 20, busy: 17 } });
    const fields = { poolMax: 'pool.size', poolUsed: 'pool.busy' };
    expect(await pool({ connectionLimit: { url, fields }, setPoolMax: command })).toEqual({
      max: 20,
      used: 17,
      waiting: null,
      detail: '17 of 20 connections of the pool are in use',
      canSetMax: true,
      canRestart: false,
    });
  });

  it.each([
    ['says something else', say(200, { connections: 3 }), 'answered 200, without numbers of a pool'],
    [
      'gives texts instead of numbers',
      say(200, { poolMax: '8', poolUsed: '2' }),
      'answered 200, without numbers',
    ],
    ['says nothing', say(500, ''), 'answered 500, but no JSON'],
  ])('is unknown, and never zero, where the application %s', async (_, listener, detail) => {
    answer = listener;
    expect(await pool({ connectionLimit: { url } })).toMatchObject({
      max: null,
      used: null,
      detail: expect.stringContaining(detail),
    });
  });
});

import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ask, askJson, problemOf, type HttpRequest } from '../../../src/activities/support/http';
import { retryAfterMs } from '../../../src/activities/support/http-status';
import { resolveSecrets } from '../../../src/config/secrets';
import { failureOf, runActivity, startActivity, until } from '../../support/postgres';

const TOKEN = 'token-of-the-http-tests';
let server: Server;
let base: string;
let host: string;
let answer: RequestListener;
let paths: string[];
/** Bytes that the server could get rid of, and whether the client hung up on it. */
let sent: number;
let hungUp: boolean;

beforeAll(async () => {
  process.env['HTTP_TEST_TOKEN'] = TOKEN;
  server = createServer((request, response) => {
    paths.push(request.url ?? '');
    response.on('close', () => (hungUp = !response.writableFinished));
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  base = `http://${host}`;
});
beforeEach(() => {
  paths = [];
  sent = 0;
  hungUp = false;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const say =
  (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_, response) =>
    response.writeHead(status, headers).end(body);

/** As much as the client takes, and never an end. */
const pour: RequestListener = (_, response) => {
  const part = Buffer.alloc(64 * 1024, 'x');
  const more = (): void => {
    if (response.destroyed) return;
    sent += part.length;
    if (response.write(part)) setImmediate(more);
    else response.once('drain', more);
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  more();
};

/** One byte now and then: no silence between two of them is ever long. */
const drip: RequestListener = (_, response) => {
  response.writeHead(200).write('[');
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};

const request = (more: Partial<HttpRequest> = {}): HttpRequest => ({ url: base, timeoutMs: 5_000, ...more });
const json = (more: Partial<HttpRequest> = {}) => runActivity(askJson, request(more));
const failing = (more: Partial<HttpRequest> = {}) => failureOf(json(more));

describe('askJson', () => {
  it('gives the JSON of a 2xx answer, and sends what it is told', async () => {
    let seen: string | undefined;
    answer = (asked, response) => {
      seen = `${asked.method} ${String(asked.headers['x-key'])} ${asked.headers.accept}`;
      response.end('{"a":[1]}');
    };
    expect(await json({ headers: { 'x-key': 'k' } })).toEqual({ a: [1] });
    expect(seen).toBe('GET k application/json');
  });

  it('refuses a body that is too long, and does not take the rest of it', async () => {
    answer = pour;
    const failure = await failing({ maxBytes: 100_000 });
    expect(failure).toMatchObject({
      type: 'HttpFailed',
      nonRetryable: true,
      message: `the answer of ${host} is longer than 100000 bytes; ask it for less.`,
    });
    await until(() => hungUp);
    expect(sent).toBeLessThan(20_000_000);
  });

  it.each<[string, RequestListener]>([
    ['an answer that never begins', () => undefined],
    ['a body that never ends', (_, response) => void response.writeHead(200).write('{')],
    ['a body that comes byte by byte', drip],
  ])('waits for %s no longer than it may in all', async (_, listener) => {
    answer = listener;
    expect(await failing({ timeoutMs: 400 })).toMatchObject({
      type: 'HttpFailed',
      nonRetryable: false,
      message: `no answer from ${host} within 0.4 s`,
    });
    await until(() => hungUp);
  });

  it.each<[string, RequestListener]>([
    ['before the answer', () => undefined],
    ['in the middle of its body', (_, response) => void response.writeHead(200).write('{')],
  ])('stops %s when the activity is cancelled, and calls it a cancellation', async (_, listener) => {
    answer = listener;
    const running = startActivity(askJson, request({ timeoutMs: 20_000 }));
    await until(() => paths.length === 1);
    running.cancel();
    expect((await failureOf(running.result)).name).toBe('CancelledFailure');
    await until(() => hungUp);
  });

  it('follows no redirect, and says where it leads without the path', async () => {
    answer = (asked, response) =>
      asked.url === '/old'
        ? response.writeHead(302, { location: `/login?back=${TOKEN}` }).end()
        : response.end('{"followed":true}');
    expect(await failing({ url: `${base}/old` })).toMatchObject({
      nonRetryable: true,
      message: `${host} redirects (302) to ${base}, which is not followed; put the final address into the configuration.`,
    });
    expect(paths).toEqual(['/old']);
  });

  it.each([
    ['<!doctype html><p>Log in</p>', 'text/html; charset=utf-8'],
    ['  <html>', ''],
    ['Log in', 'text/html'],
  ])('calls %j a web page', async (body, type) => {
    answer = say(200, body, type === '' ? {} : { 'content-type': type });
    expect((await failing()).message).toBe(
      `${host} answered 200 with a web page instead of JSON; correct the address, or the credentials where the page wants a login.`,
    );
  });

  it('says that what is no JSON is none', async () => {
    answer = say(200, '{"a":');
    expect(await failing()).toMatchObject({
      nonRetryable: true,
      message: `${host} answered 200, but no JSON; correct the address in the configuration.`,
    });
  });

  it.each([
    [401, 'does not accept the credentials (401); correct them in the configuration.', true],
    [403, 'refuses access (403); give the configured credentials the right to read this.', true],
    [404, 'has nothing there (404); correct the address in the configuration.', true],
    [418, 'answered 418: no coffee; correct the request in the configuration.', true],
    [503, 'is in trouble: it answered 503: no coffee. Look at it there.', false],
  ])('says what to do about %d', async (status, sentence, nonRetryable) => {
    answer = say(status, 'no\n coffee');
    expect(await failing()).toMatchObject({
      type: 'HttpFailed',
      nonRetryable,
      message: `${host} ${sentence}`,
    });
  });

  it.each([
    [{ 'retry-after': '7' }, ' and to be left alone for 7 s.', 7_000],
    [{ 'retry-after': '7200' }, ' and to be left alone for 7200 s.', 60_000],
    [{}, '; ask it less often.', undefined],
  ])('tries again after 429 with %j when the server wants it', async (headers, words, delay) => {
    answer = say(429, '', headers);
    const failure = await failing();
    expect(failure).toMatchObject({
      nonRetryable: false,
      message: `${host} wants fewer requests (429)${words}`,
    });
    expect((failure as { nextRetryDelay?: unknown }).nextRetryDelay ?? undefined).toEqual(delay);
  });

  it('says who is not there', async () => {
    expect(await failing({ url: 'http://127.0.0.1:1/x' })).toMatchObject({
      nonRetryable: false,
      message: expect.stringMatching(/^no answer from 127\.0\.0\.1:1: .*ECONNREFUSED/),
    });
  });

  it.each(['not a URL', 'file:///etc/passwd', 'ftp://host/x'])('asks nobody at %s', async (url) => {
    expect((await failing({ url })).message).toBe(
      'its address is no http(s) URL; correct it in the configuration.',
    );
  });

  it('has neither the address nor a secret in what it says', async () => {
    answer = say(500, `bad key ${TOKEN}`);
    const url = resolveSecrets(`${base}/\${env:HTTP_TEST_TOKEN}?hook=AbCdEfGh`, '/');
    const { message } = await failing({ url });
    expect(message).toBe(`${host} is in trouble: it answered 500: bad key ***. Look at it there.`);
    expect(paths).toEqual([`/${TOKEN}?hook=AbCdEfGh`]);
  });
});

describe('ask', () => {
  it('gives the beginning of a long body where that is enough', async () => {
    answer = pour;
    const { status, text } = await runActivity(ask, request({ maxBytes: 1_000, longer: 'cut' }));
    expect([status, text]).toEqual([200, 'x'.repeat(1_000)]);
    await until(() => hungUp);
  });
});

describe('problemOf', () => {
  it('makes a fact of a failure, and nothing of a cancellation', async () => {
    answer = () => undefined;
    const asFact = (input: HttpRequest): Promise<unknown> => askJson(input).catch(problemOf);
    expect(await runActivity(asFact, request({ timeoutMs: 50 }))).toMatch(/^no answer from/);
    const running = startActivity(asFact, request());
    await until(() => paths.length === 2);
    running.cancel();
    expect((await failureOf(running.result)).name).toBe('CancelledFailure');
  });
});

describe('retryAfterMs', () => {
  const now = Date.parse('2026-11-21T03:00:00Z');
  it.each([
    ['5', 5_000],
    ['Sat, 21 Nov 2026 03:00:10 GMT', 10_000],
    ['Sat, 21 Nov 2026 02:00:00 GMT', 0],
    ['-1', undefined],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('of %j is %j', (header, wanted) => {
    expect(retryAfterMs(header, now)).toBe(wanted);
  });
});

import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { performOperation } from '../../../src/activities/support/operation/perform';
import { operationSchema } from '../../../src/config/http-operation-schema';
import { serve } from '../../support/local-server';
import { failureOf, runActivity } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';

interface Asked {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}
interface Answer {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}

let asked: Asked[];
/** One after the other; the last one again and again. */
let answers: (Answer | ((response: ServerResponse) => void))[];
const SECRET = (process.env['OPERATION_TEST_SECRET'] = 's3cr:t');

const server = duringTests(() =>
  serve((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      asked.push({ method, url, headers, body: Buffer.concat(parts).toString() });
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
      if (typeof answer === 'function') return answer(response);
      const { status = 200, body = {}, headers: more = {} } = answer;
      response.writeHead(status, { 'content-type': 'application/json', ...more });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  }),
);
let base: string;
beforeAll(() => void (base = server.url));
beforeEach(() => {
  asked = [];
  answers = [{}];
});

const DECLARED = ['job', 'count'];
type Given = z.input<ReturnType<typeof operationSchema>>;
const perform = (given: Given, parameters: Record<string, string | number> = {}) =>
  runActivity(
    () =>
      performOperation(operationSchema(DECLARED).parse(given), {
        action: 'run expire-bookings',
        parameters: { job: 'expire-bookings', count: 3, ...parameters },
        directory: '/nowhere',
      }),
    undefined,
  );

const secret = '${env:OPERATION_TEST_SECRET}';
const signature = (text: string, encoding: 'hex' | 'base64') =>
  createHmac('sha256', SECRET).update(text).digest(encoding);

describe('a request', () => {
  it('has its declared fields filled in, each encoded for its place', async () => {
    await perform(
      {
        method: 'POST',
        url: `${base}/jobs/{job}/runs`,
        query: { of: '{job}' },
        headers: { 'x-job': '{job}' },
        body: { job: '{job}', text: '{count} of {job}', count: '{count}', deep: [{ count: '{count}' }] },
      },
      { job: 'a/b?c=d&e' },
    );
    expect(asked[0]).toMatchObject({
      method: 'POST',
      url: '/jobs/a%2Fb%3Fc%3Dd%26e/runs?of=a%2Fb%3Fc%3Dd%26e',
      headers: { 'x-job': 'a/b?c=d&e', 'content-type': 'application/json; charset=utf-8' },
    });
    expect(JSON.parse(asked[0]!.body)).toEqual({
      job: 'a/b?c=d&e',
      text: '3 of a/b?c=d&e',
      count: 3,
      deep: [{ count: 3 }],
    });
  });

  it('is sent as a form where that is wanted', async () => {
    await perform({ method: 'PUT', url: base, form: { job: '{job}', all: 'yes & no' } });
    expect(asked[0]).toMatchObject({ method: 'PUT', body: 'job=expire-bookings&all=yes+%26+no' });
  });

  it('takes no secret, no other server and no other folder from what is filled in', async () => {
    await perform({ method: 'POST', url: `${base}/{job}`, body: { job: '{job}' } }, { job: secret });
    expect(asked[0]!.body).toBe(JSON.stringify({ job: secret }));
    for (const job of ['..', '.', '']) {
      const failure = await failureOf(perform({ url: `${base}/jobs/{job}/x` }, { job }));
      expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
    }
    process.env['OPERATION_TEST_BASE'] = 'http://127.0.0.1:';
    const elsewhere = perform({ url: '${env:OPERATION_TEST_BASE}{count}' }, { count: 9 });
    expect(await failureOf(elsewhere)).toMatchObject({ type: 'InvalidInput' });
    const smuggled = perform({ url: base, headers: { 'x-job': '{job}' } }, { job: 'a\r\nx-admin: 1' });
    expect(await failureOf(smuggled)).toMatchObject({ type: 'InvalidInput' });
    expect(asked).toHaveLength(1);
  });

  it.each([
    [{ kind: 'bearer', token: secret }, 'authorization', () => `Bearer ${SECRET}`],
    [
      { kind: 'basic', user: 'ops', password: secret },
      'authorization',
      () => `Basic ${Buffer.from(`ops:${SECRET}`).toString('base64')}`,
    ],
    [{ kind: 'header', name: 'x-cron-secret', value: secret }, 'x-cron-secret', () => SECRET],
    [{ kind: 'cookie', name: 'session', value: secret }, 'cookie', () => `session=${SECRET}`],
    [
      { kind: 'hmac', secret, prefix: 'sha256=' },
      'x-signature',
      ({ body }) => `sha256=${signature(body, 'hex')}`,
    ],
    [
      {
        kind: 'hmac',
        secret,
        header: 'X-Hub',
        encoding: 'base64',
        signs: '{timestamp}.{method}.{path}.{body}',
        timestampHeader: 'X-Time',
      },
      'x-hub',
      ({ headers, body }) => signature(`${headers['x-time'] as string}.POST./run?n=3.${body}`, 'base64'),
    ],
  ] satisfies [Given['auth'], string, (one: Asked) => string][])(
    'proves who sends it: %j',
    async (auth, header, expected) => {
      await perform({ method: 'POST', url: `${base}/run`, query: { n: '{count}' }, body: { a: 1 }, auth });
      expect(asked[0]!.headers[header]).toBe(expected(asked[0]!));
    },
  );

  it('has one key for idempotency in all attempts of a step', async () => {
    const given: Given = { method: 'POST', url: base, idempotencyKey: 'Idempotency-Key' };
    await perform(given);
    await perform(given);
    const keys = asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys[1]).toBe(keys[0]);
  });
});

describe('an answer', () => {
  it('is read by dot paths, and shortened', async () => {
    answers = [{ body: { result: { count: 7, text: 'x'.repeat(2_000) } } }];
    const found = await perform({ url: base, fields: { processed: 'result.count', text: 'result.text' } });
    expect(found.fields).toEqual({ processed: 7, text: 'x'.repeat(500) });
    expect(found.detail).toMatch(/^answered 200; processed 7; text x+$/);
  });

  it('needs no body where nothing is read from it', async () => {
    answers = [{ status: 204, body: '' }];
    expect(await perform({ method: 'DELETE', url: base })).toEqual({
      status: 204,
      fields: {},
      detail: 'answered 204',
    });
  });

  it.each<[string, Partial<Given>, Answer | ((response: ServerResponse) => void), RegExp, boolean]>([
    ['401', {}, { status: 401 }, /does not accept the credentials \(401\)/, false],
    ['403', {}, { status: 403 }, /refuses access \(403\)/, false],
    ['404', {}, { status: 404 }, /has nothing there \(404\)/, false],
    ['409', {}, { status: 409, body: 'it runs' }, /stands in the way \(409, it runs\)/, false],
    ['429', {}, { status: 429, headers: { 'retry-after': '7' } }, /left alone for 7 s/, true],
    ['503', {}, { status: 503, body: 'down' }, /in trouble: it answered 503: down/, true],
    ['302', {}, { status: 302, headers: { location: '/login' } }, /redirects \(302\)/, false],
    [
      'a page',
      { fields: { a: 'a' } },
      { body: '<html>', headers: { 'content-type': 'text/html' } },
      /web page/,
      false,
    ],
    [
      'another shape',
      { fields: { a: 'b.c' } },
      { body: { b: 1 } },
      /has no "b\.c"; correct fields\.a/,
      false,
    ],
    [
      'no success',
      { success: { field: 'ok', equals: [true] } },
      { body: { ok: false } },
      /says "false" at "ok", which is no success/,
      false,
    ],
    [
      'a status that is not named',
      { success: { status: [204] } },
      {},
      /answered 200.*success\.status/,
      false,
    ],
    ['slow', { timeoutMs: 50 }, () => undefined, /no answer from .* within 0\.05 s/, true],
    ['huge', {}, (response) => response.writeHead(200).end('x'.repeat(1_100_000)), /longer than/, false],
  ])('%s: one clear error', async (_, more, answer, message, retryable) => {
    answers = [answer];
    const failure = await failureOf(perform({ url: `${base}/secret-path`, ...more }));
    expect(failure).toMatchObject({ type: 'HttpFailed', nonRetryable: !retryable });
    expect(failure.message).toMatch(message);
    expect(failure.message).toMatch(/^Could not run expire-bookings: /);
    expect(failure.message).toContain(new URL(base).host);
    expect(failure.message).not.toContain('secret-path');
  });

  it('that repeats what it was sent gives no secret away', async () => {
    answers = [
      (response) => {
        const { headers } = asked.at(-1)!;
        const said = `you are ${headers.authorization} with ${headers['x-plain'] as string}`;
        response.writeHead(418).end(`${said}, ${encodeURIComponent(SECRET)}`);
      },
    ];
    const auth: Given['auth'] = { kind: 'basic', user: 'ops', password: secret };
    const { message } = await failureOf(perform({ url: base, auth, headers: { 'x-plain': SECRET } }));
    expect(message).toContain('you are Basic *** with ***, ***');
    answers = [{ body: { echo: `token ${SECRET}` } }];
    const found = await perform({ url: base, auth, fields: { echo: 'echo' } });
    expect(JSON.stringify(found)).not.toContain(SECRET);
  });

  it('to a request whose secret is not set never comes', async () => {
    const auth: Given['auth'] = { kind: 'bearer', token: '${env:NOBODY_SET_THIS}' };
    const failure = await failureOf(perform({ url: base, auth }));
    expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
    expect(failure.message).toMatch(/NOBODY_SET_THIS.*the variable is not set/);
    expect(asked).toEqual([]);
  });
});

describe('what has only begun (202)', () => {
  const begun = (headers: Record<string, string> = { location: '/tasks/7' }): Answer => ({
    status: 202,
    headers,
    body: { task: { href: '/tasks/8' } },
  });
  const start = (poll: NonNullable<Given['poll']> | undefined, more: Partial<Given> = {}) =>
    perform({
      method: 'POST',
      url: `${base}/run`,
      auth: { kind: 'bearer', token: secret },
      ...(poll === undefined ? {} : { poll: { everySeconds: 0.01, ...poll } }),
      ...more,
    });

  it('is asked after until it is over, with the same credentials', async () => {
    answers = [begun(), { status: 202 }, { status: 503 }, { body: { count: 3 } }];
    const found = await start({}, { fields: { count: 'count' } });
    expect(found).toMatchObject({ status: 200, fields: { count: 3 } });
    expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /run',
      ...Array.from({ length: 3 }, () => 'GET /tasks/7'),
    ]);
    expect(asked.every(({ headers }) => headers.authorization === `Bearer ${SECRET}`)).toBe(true);
  });

  it('is followed by the state that the answer names', async () => {
    answers = [begun({}), { body: { state: 'Running' } }, { body: { state: 'Succeeded' } }];
    await start({ addressField: 'task.href', field: 'state' });
    expect(asked.at(-1)?.url).toBe('/tasks/8');
    answers = [begun(), { body: { state: 'failed' } }];
    const { message } = await failureOf(start({ field: 'state' }));
    expect(message).toContain('says that it ended as "failed"');
  });

  it('is not followed to another server, which would get the credentials', async () => {
    answers = [begun({ location: 'http://localhost:1/tasks' })];
    const { message } = await failureOf(start({}));
    expect(message).toContain('names localhost:1 to ask there, which gets no credentials');
    expect(asked).toHaveLength(1);
  });

  it('is given up after its time', async () => {
    answers = [begun(), { status: 202 }];
    const failure = await failureOf(start({ forSeconds: 0.1 }));
    expect(failure).toMatchObject({ type: 'HttpFailed', nonRetryable: true });
    expect(failure.message).toContain('it was not over within 0.1 s. It may still end');
  });

  it('is said to be no more than that where nobody asks after it', async () => {
    answers = [begun()];
    expect((await start(undefined)).detail).toBe('answered 202, so it has begun, and its end is not known');
  });
});

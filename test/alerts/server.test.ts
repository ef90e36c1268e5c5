import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { startIntake, type IntakeOptions, type RunningIntake } from '../../src/worker/intake';
import { setEnvironment } from '../../src/config/secrets';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import {
  bodyOf,
  configOf,
  memoryLog,
  monitorSource,
  post,
  startLine,
  TOKEN,
  until,
  type Answered,
  type Line,
} from './intake-support';
import { sign } from './senders/support';

const directory = mkdtempSync(join(tmpdir(), 'alerts-server-'));
const NOWHERE = '127.0.0.1:1';
const SECRET = 'a-secret-that-signs';

let temporal: LocalTemporal;
let connection: Connection;
let client: Client;
let line: Line;
const running: RunningIntake[] = [];

beforeAll(async () => {
  temporal = await startTemporal({ directory, ephemeral: true });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection });
  line = await startLine(temporal.port);
});
afterEach(async () => {
  line.set('open');
  await Promise.all(running.splice(0).map((one) => one.stop()));
});
afterAll(async () => {
  await line.stop();
  await connection.close();
  await temporal.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** An intake of these tests, with what it logged. */
async function intake(
  alerts: Record<string, unknown> = {},
  address = temporal.address,
  options: IntakeOptions = {},
) {
  const { log, entries } = memoryLog();
  const config = configOf(alerts, address);
  const started = await startIntake(config, { log, ...options });
  running.push(started);
  return { ...started, entries, monitor: `${started.url}/alerts/monitor` };
}

const isStarted = (workflowId: string) =>
  client.workflow
    .getHandle(workflowId)
    .describe()
    .then(
      () => true,
      () => false,
    );
/** How often a run was told anything. */
async function noticesTo(workflowId: string): Promise<number> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes != null).length;
}
const metricsOf = async (url: string) => (await fetch(`${url}/metrics`)).text();
const resultsOf = ({ body }: Answered) => body.alerts?.map(({ result }) => result);

describe('a request', () => {
  it('with an alert is answered 202 once Temporal has the run, and says what became of each', async () => {
    const { monitor } = await intake();
    const body = bodyOf(
      { id: 'one' },
      { id: 'two' },
      { id: 'odd', name: 'Else' },
      { id: 'lost', service: 'nowhere' },
    );
    const first = await post(monitor, body);
    expect(first.status).toBe(202);
    expect(first.body.alerts).toEqual([
      {
        fingerprint: 'one',
        status: 'firing',
        result: 'started',
        route: 'backups',
        workflowId: expect.any(String),
      },
      {
        fingerprint: 'two',
        status: 'firing',
        result: 'started',
        route: 'backups',
        workflowId: expect.any(String),
      },
      { fingerprint: 'odd', status: 'firing', result: 'unmatched' },
      {
        fingerprint: 'lost',
        status: 'firing',
        result: 'invalid_input',
        route: 'backups',
        detail: 'service: got "nowhere", wanted one of: booking, shop',
      },
    ]);
    for (const { workflowId } of first.body.alerts!.slice(0, 2))
      expect(await isStarted(workflowId!)).toBe(true);
    expect(resultsOf(await post(monitor, bodyOf({ id: 'one' }, { id: 'two', status: 'resolved' })))).toEqual([
      'repeat',
      'resolved',
    ]);
  });

  it.each<[string, number, RegExp, () => [string | Buffer, Record<string, string>?, string?]]>([
    ['to an unknown source', 404, /no source "nobody"/, () => [bodyOf({ id: 'x' }), {}, 'nobody']],
    [
      'to a source that every object has',
      404,
      /no source "constructor"/,
      () => [bodyOf({ id: 'x' }), {}, 'constructor'],
    ],
    ['without a secret', 401, /missing or wrong/, () => [bodyOf({ id: 'x' }), { authorization: '' }]],
    [
      'with another secret',
      401,
      /missing or wrong/,
      () => [bodyOf({ id: 'x' }), { authorization: `Bearer ${TOKEN}x` }],
    ],
    [
      'of another content type',
      415,
      /application\/json/,
      () => [bodyOf({ id: 'x' }), { 'content-type': 'text/plain' }],
    ],
    [
      'of a form',
      415,
      /application\/json/,
      () => ['payload=x', { 'content-type': 'application/x-www-form-urlencoded' }],
    ],
    [
      'that is compressed',
      415,
      /Content-Encoding/,
      () => [bodyOf({ id: 'x' }), { 'content-encoding': 'gzip' }],
    ],
    ['that is too large', 413, /too large/i, () => [bodyOf({ id: 'x', title: 'x'.repeat(600_000) })]],
    ['without a body', 400, /body: got nothing/, () => ['']],
    ['that is no JSON', 400, /no JSON/, () => ['{"all":']],
    ['that is no UTF-8', 400, /no UTF-8/, () => [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])]],
    ['that is nested deeply', 400, /nested/, () => [`{"all":${'['.repeat(100_000)}${']'.repeat(100_000)}}`]],
    ['without alerts', 400, /all: got nothing, wanted an array/, () => ['{}']],
    ['with an alert without a fingerprint', 400, /id: got nothing/, () => ['{"all":[{"status":"firing"}]}']],
  ])('%s is answered %i and starts nothing', async (_, status, words, make) => {
    const { url, entries } = await intake({}, NOWHERE);
    const [body, headers, source = 'monitor'] = make();
    const answer = await post(`${url}/alerts/${source}`, body, headers);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(words);
    expect(JSON.stringify([answer.body, entries])).not.toContain(TOKEN);
  });

  it('that is not authentic is refused before its body is looked at', async () => {
    const { monitor } = await intake({}, NOWHERE);
    expect((await post(monitor, '{"all":', { authorization: 'Bearer no' })).status).toBe(401);
  });

  it('to anything else is answered 404', async () => {
    const { url } = await intake({}, NOWHERE);
    for (const path of ['/', '/alerts', '/alerts/', '/alerts/monitor/x', '/alerts/%zz']) {
      expect([400, 404]).toContain((await fetch(`${url}${path}`, { method: 'POST' })).status);
    }
    expect((await fetch(`${url}/alerts/monitor`)).status).toBe(404);
  });

  it('beyond what a source may send in a minute is answered 429, and other sources go on', async () => {
    const sources = { monitor: monitorSource, other: monitorSource };
    const { url } = await intake({ sources, maxPerMinute: 3 }, NOWHERE);
    const answers = [];
    for (let count = 0; count < 5; count += 1)
      answers.push(await post(`${url}/alerts/monitor`, '{"all":[]}'));
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 429, 429]);
    expect(Number(answers[4]!.headers['retry-after'])).toBeGreaterThan(0);
    expect((await post(`${url}/alerts/other`, '{"all":[]}')).status).toBe(202);
  });

  it('with a template in a label starts the run with the text that it is', async () => {
    const routes = [
      {
        name: 'say',
        match: { source: 'monitor' },
        runbook: 'checkBackups',
        input: { service: 'booking', reason: '{{title}} / {{labels.team}}' },
      },
    ];
    const { monitor } = await intake({ routes });
    const team = '{{labels.service}} ${env:HOME} {{constructor}}';
    const answer = await post(monitor, bodyOf({ id: 'template', title: '{{fingerprint}}', team }));
    const handle = client.workflow.getHandle(answer.body.alerts![0]!.workflowId!);
    const { events } = await handle.fetchHistory();
    const started = events![0]!.workflowExecutionStartedEventAttributes!;
    const input = JSON.parse(Buffer.from(started.input!.payloads![0]!.data!).toString()) as {
      reason: string;
    };
    expect(input.reason).toBe(`{{fingerprint}} / ${team}`);
  });

  it('with the end of an alert that reads differently now reaches the run that its beginning started', async () => {
    const { monitor } = await intake();
    const first = await post(monitor, bodyOf({ id: 'renamed' }));
    const last = await post(monitor, bodyOf({ id: 'renamed', status: 'resolved', name: 'Mended' }));
    expect(resultsOf(last)).toEqual(['resolved']);
    expect(last.body.alerts![0]!.workflowId).toBe(first.body.alerts![0]!.workflowId);
    expect(last.body.alerts![0]!.detail).toBe('its run was told');
  });

  it('with the end of an alert reaches every run that it began, as after a restart of its sender, but none of a later one', async () => {
    const { monitor } = await intake();
    const starts = ['2026-11-21T03:00:00.000Z', '2026-11-21T03:10:00.000Z', '2026-11-21T03:20:00.000Z'];
    const ids: string[] = [];
    for (const since of starts) {
      const { body } = await post(monitor, bodyOf({ id: 'restarted', since }));
      ids.push(body.alerts![0]!.workflowId!);
    }
    expect(new Set(ids).size).toBe(3);
    const over = await post(monitor, bodyOf({ id: 'restarted', since: starts[1], status: 'resolved' }));
    expect(over.body.alerts).toMatchObject([{ result: 'resolved', workflowId: ids[1] }]);
    expect(await Promise.all(ids.map(noticesTo))).toEqual([1, 1, 0]);
  });

  it('that is recorded and not routed is in the log and in the metrics, without secrets', async () => {
    setEnvironment({ INTAKE_TEST_SECRET: 'hunter2hunter2' });
    const source = { ...monitorSource, auth: { kind: 'bearer', tokens: ['${env:INTAKE_TEST_SECRET}'] } };
    const lines: string[] = [];
    const spy = jest.spyOn(console, 'error').mockImplementation((text: string) => void lines.push(text));
    const { monitor, url } = await intake({ sources: { monitor: source } }, undefined, { log: undefined });
    const headers = { authorization: 'Bearer hunter2hunter2' };
    const body = bodyOf({ id: 'odd', name: 'Else', title: 'it said hunter2hunter2 and password=abcdef"' });
    for (let count = 0; count < 3; count += 1) expect((await post(monitor, body, headers)).status).toBe(202);
    spy.mockRestore();
    const entries = lines.map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(entries).toEqual([
      expect.objectContaining({
        level: 'warn',
        message: 'no route matches this alert',
        alert: expect.objectContaining({
          fingerprint: 'odd',
          title: expect.stringContaining('it said *** and'),
        }),
      }),
    ]);
    expect(lines.join()).not.toMatch(/hunter2|abcdef/);
    expect(await metricsOf(url)).toContain('runbooks_alerts_total{source="monitor",result="unmatched"} 3');
  });
});

describe('what watches it', () => {
  it('hears that it lives, whether Temporal answers, and what it counted', async () => {
    const { url, monitor } = await intake({}, line.address);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    await post(monitor, bodyOf({ id: 'counted' }));
    await post(monitor, bodyOf({ id: 'counted' }, { id: 'counted' }));
    await post(monitor, '{');
    await post(monitor, '', { authorization: 'no' });
    await post(`${url}/alerts/stranger-1`, '');
    await post(`${url}/alerts/stranger-2`, '');
    const text = await until(
      () => metricsOf(url),
      (metrics) => metrics.includes('runbooks_alerts_in_flight 0'),
    );
    for (const expected of [
      'runbooks_alerts_total{source="monitor",result="started"} 1',
      'runbooks_alerts_total{source="monitor",result="repeat"} 2',
      'runbooks_alerts_total{source="monitor",result="bad"} 1',
      'runbooks_alerts_total{source="monitor",result="refused"} 1',
      'runbooks_alerts_total{source="unknown",result="bad"} 2',
      'runbooks_alert_repeats_total 2',
      'runbooks_alert_request_seconds_count{source="monitor"} 4',
    ])
      expect(text).toContain(expected);
    expect(text).not.toContain('stranger');
    line.set('cut');
    const down = await until(
      () => fetch(`${url}/health/ready`),
      ({ status }) => status === 503,
    );
    expect(await down.json()).toMatchObject({
      status: 'unavailable',
      problem: expect.stringMatching(/Temporal/),
    });
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    line.set('open');
    await until(
      () => fetch(`${url}/health/ready`),
      ({ status }) => status === 200,
    );
  });

  it('is told at the start that a secret is missing, or that the port is taken', async () => {
    const source = { ...monitorSource, auth: { kind: 'bearer', tokens: ['${env:INTAKE_TEST_NOT_SET}'] } };
    await expect(intake({ sources: { monitor: source } })).rejects.toThrow(/INTAKE_TEST_NOT_SET/);
    const { url } = await intake({}, NOWHERE);
    await expect(intake({}, NOWHERE, { port: Number(new URL(url).port) })).rejects.toThrow(
      /cannot listen on/,
    );
  });
});

describe('while Temporal is away', () => {
  const signed = (body: string) => ({ 'x-signature': sign(SECRET, body) });
  const sources = {
    monitor: monitorSource,
    signing: { ...monitorSource, auth: { kind: 'hmac', secrets: [SECRET] } },
    sentry: { kind: 'sentry', auth: { kind: 'signature', secrets: [SECRET] } },
  };
  const routes = [
    {
      name: 'all',
      match: { source: { regex: '.*' } },
      runbook: 'checkBackups',
      input: { service: 'booking' },
    },
  ];

  it.each(['cut', 'stalled'] as const)(
    '(%s) the answer is 503, the same delivery is taken when it comes again, and only then is it known',
    async (state) => {
      const { url } = await intake({ sources, routes }, line.address, { answerWithinMs: 1_000 });
      const target = `${url}/alerts/signing`;
      const body = bodyOf({ id: `delivery-${state}` });
      line.set(state);
      const away = await post(target, body, signed(body));
      expect(away.status).toBe(503);
      expect(Number(away.headers['retry-after'])).toBeGreaterThan(0);
      expect(resultsOf(away)).toEqual(['unavailable']);
      line.set('open');
      const back = await until(
        () => post(target, body, signed(body)),
        ({ status }) => status !== 503,
      );
      expect(back.status).toBe(202);
      expect(['started', 'repeat']).toContain(resultsOf(back)![0]);
      expect(await isStarted(back.body.alerts![0]!.workflowId!)).toBe(true);
      const replayed = await post(target, body, signed(body));
      expect(replayed).toMatchObject({ status: 200, body: { result: 'replayed', alerts: [] } });
      expect(await metricsOf(url)).toContain('runbooks_alerts_total{source="signing",result="replayed"} 1');
    },
  );

  it('a sender that does not wait is answered before the others', async () => {
    const { url, monitor } = await intake({ sources, routes }, line.address);
    line.set('stalled');
    const body = JSON.stringify({
      action: 'created',
      data: { issue: { id: '7', title: 'TypeError', level: 'error' } },
    });
    const order: string[] = [];
    const patient = post(monitor, bodyOf({ id: 'patient' })).then(({ status }) =>
      order.push(`monitor ${status}`),
    );
    const hasty = post(`${url}/alerts/sentry`, body, {
      'sentry-hook-resource': 'issue',
      'sentry-hook-signature': sign(SECRET, body),
    }).then(({ status }) => order.push(`sentry ${status}`));
    await Promise.all([patient, hasty]);
    expect(order).toEqual(['sentry 503', 'monitor 503']);
  });

  it('more requests than may be in memory are sent away at once', async () => {
    // Long enough for all of them to arrive while the first ones wait.
    const { monitor } = await intake({ sources, routes }, line.address, { answerWithinMs: 120_000 });
    line.set('stalled');
    const refused: string[] = [];
    const taken: number[] = [];
    const all = Array.from({ length: 1_020 }, async (_, index) => {
      const { status, body } = await post(monitor, bodyOf({ id: `flood-${index}` }));
      if (body.error === undefined) taken.push(status);
      else refused.push(`${status} ${body.error}`);
    });
    await until(
      () => refused.length,
      (length) => length >= 20,
    );
    expect(refused.every((error) => error === '503 too many requests at once')).toBe(true);
    expect(taken).toEqual([]);
    line.set('open');
    await Promise.all(all);
    expect([taken.length, new Set(taken)]).toEqual([1_000, new Set([202])]);
  });

  it('what was started before the line broke is not started again', async () => {
    const { monitor } = await intake({ sources, routes }, line.address, { answerWithinMs: 1_000 });
    await post(monitor, bodyOf({ id: 'half-1' }));
    line.set('cut');
    const half = await post(monitor, bodyOf({ id: 'half-1' }, { id: 'half-2' }));
    expect(half.status).toBe(503);
    expect(resultsOf(half)).toEqual(['repeat', 'unavailable']);
    line.set('open');
    const whole = await until(
      () => post(monitor, bodyOf({ id: 'half-1' }, { id: 'half-2' })),
      ({ status }) => status !== 503,
    );
    expect(whole.status).toBe(202);
  });
});

describe('the end', () => {
  it('in the middle of a burst loses nothing that was taken, and takes nothing new', async () => {
    const one = await intake();
    const answers: { id: string; answer: Answered | undefined }[] = [];
    const send = async (sender: number): Promise<void> => {
      for (let count = 0; count < 60; count += 1) {
        const id = `burst-${sender}-${count}`;
        // Refused at the door: undefined.
        answers.push({ id, answer: await post(one.monitor, bodyOf({ id })).catch(() => undefined) });
      }
    };
    const senders = Promise.all(Array.from({ length: 16 }, (_, sender) => send(sender)));
    await until(
      () => answers.length,
      (length) => length > 100,
    );
    await one.stop();
    await senders;
    const taken = answers.filter(({ answer }) => answer?.status === 202);
    const refused = answers.filter(({ answer }) => answer?.status !== 202);
    expect(taken.length).toBeGreaterThan(100);
    expect(refused.length).toBeGreaterThan(0);
    for (const { answer } of refused) expect([undefined, 503]).toContain(answer?.status);
    const workflowIds = taken.map(({ answer }) => answer!.body.alerts![0]!.workflowId!);
    expect(await Promise.all(workflowIds.map(isStarted))).toEqual(workflowIds.map(() => true));
    await expect(post(one.monitor, bodyOf({ id: 'late' }))).rejects.toThrow();
  });

  it('finishes what it has taken, and tells runs how often their alerts came', async () => {
    const { stop, monitor } = await intake({}, line.address);
    const first = await post(monitor, bodyOf({ id: 'told-at-the-end' }));
    await post(monitor, bodyOf({ id: 'told-at-the-end' }));
    // What was read now is served for a while, so that the scrapes below need no line.
    await until(
      () => metricsOf(new URL(monitor).origin),
      (text) => text.includes('runbooks_alerts_in_flight 0'),
    );
    line.set('stalled');
    const waiting = post(monitor, bodyOf({ id: 'taken-at-the-end' }));
    await until(
      () => metricsOf(new URL(monitor).origin),
      (text) => text.includes('runbooks_alerts_in_flight 1'),
    );
    const ended = stop();
    line.set('open');
    expect((await waiting).status).toBe(202);
    await ended;
    const { events } = await client.workflow.getHandle(first.body.alerts![0]!.workflowId!).fetchHistory();
    expect(events!.filter((event) => event.workflowExecutionSignaledEventAttributes != null)).toHaveLength(1);
  });

  it('while Temporal is away leaves nothing behind that is still tried', async () => {
    const { stop, monitor } = await intake({}, line.address, { answerWithinMs: 500 });
    line.set('cut');
    const ids = Array.from({ length: 40 }, (_, index) => `left-${index}`);
    const answers = await Promise.all(ids.map((id) => post(monitor, bodyOf({ id }))));
    expect(answers.map(({ status }) => status)).toEqual(ids.map(() => 503));
    await stop();
    // What is tried on a closed connection throws out of a timer, and that would end this test.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
  });

  it('does not wait for a sender that never finishes its body', async () => {
    const { stop, url } = await intake();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    socket.write(
      `POST /alerts/monitor HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    await until(
      () => metricsOf(url),
      (text) => text.includes('runbooks_alerts_in_flight 1'),
    );
    await stop();
    await closed;
  });
});

describe('whatever is posted to whatever source', () => {
  const kinds = ['alertmanager', 'grafana', 'opsgenie', 'datadog', 'generic'] as const;
  const signing = {
    sentry: (body: Buffer) => ({
      'sentry-hook-signature': sign(SECRET, body),
      'sentry-hook-resource': 'issue',
    }),
    pagerduty: (body: Buffer) => ({ 'x-pagerduty-signature': `v1=${sign(SECRET, body)}` }),
    github: (body: Buffer) => ({
      'x-hub-signature-256': `sha256=${sign(SECRET, body)}`,
      'x-github-event': 'workflow_run',
    }),
    stripe: (body: Buffer) => {
      const seconds = Math.floor(Date.now() / 1_000);
      return { 'stripe-signature': `t=${seconds},v1=${sign(SECRET, `${seconds}.`, body)}` };
    },
  };
  const sources = Object.fromEntries([
    ...kinds.map((kind) => [
      kind,
      { ...(kind === 'generic' ? monitorSource : { kind }), auth: monitorSource.auth },
    ]),
    ...Object.keys(signing).map((kind) => [kind, { kind, auth: { kind: 'signature', secrets: [SECRET] } }]),
  ]) as Record<string, unknown>;
  const words = [
    'alerts',
    'all',
    'id',
    'status',
    'firing',
    'data',
    'event',
    'labels',
    'action',
    '__proto__',
    'constructor',
  ];
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(...words),
      fc.constantFrom(null, true, 0, -1, 1e308, '', '\u0000', '{{labels.x}}'),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...words), tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  const body = fc.oneof(
    { weight: 4, arbitrary: value.map((one) => Buffer.from(JSON.stringify(one))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 20_000 }).map((depth) => Buffer.from('['.repeat(depth))),
    },
    { weight: 1, arbitrary: fc.json().map((text) => Buffer.from(text)) },
  );
  const noise = fc.dictionary(
    fc.constantFrom(
      'content-type',
      'content-encoding',
      'x-github-event',
      'sentry-hook-resource',
      'authorization',
      'x-forwarded-for',
    ),
    fc.constantFrom(
      'application/json',
      'application/problem+json; charset=x',
      'text/html',
      'gzip',
      'ping',
      'Bearer',
      '__proto__',
      '%',
    ),
    { maxKeys: 2 },
  );

  it('is answered in order and starts nothing', async () => {
    const started: unknown[] = [];
    const refusing = {
      options: { namespace: 'default' },
      withDeadline: (_: number, call: () => unknown) => call(),
      workflow: {
        start: async (...args: unknown[]) => void started.push(args),
        getHandle: () => ({ signal: async () => undefined }),
      },
    } as unknown as Client;
    const { url, entries } = await intake({ sources, maxPerMinute: 1_000_000 }, NOWHERE, {
      client: refusing,
    });
    const names = Object.keys(sources);
    const counts: Record<number, number> = {};
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        body,
        noise,
        fc.boolean(),
        async (name, bytes, lies, right) => {
          const prove = Object.hasOwn(signing, name) ? signing[name as keyof typeof signing] : undefined;
          const proof = right ? (prove?.(bytes) ?? {}) : { authorization: 'Bearer wrong', ...lies };
          const { status } = await post(`${url}/alerts/${name}`, bytes, { ...lies, ...proof });
          counts[status] = (counts[status] ?? 0) + 1;
          if (status >= 500) throw new Error(`answered ${status}: ${JSON.stringify(entries.at(-1))}`);
        },
      ),
      { numRuns: 4_000, seed: 20_261_121 },
    );
    expect(started).toEqual([]);
    // A fuzz in which everything is refused at the door would show nothing.
    expect(counts[400]).toBeGreaterThan(500);
    expect(counts[401]).toBeGreaterThan(500);
    expect(counts[415]).toBeGreaterThan(50);
  });
});

import { setEnvironment } from '../../src/config/secrets';
import { bodyOf, monitorSource, post, TOKEN, until } from './intake-support';
import { metricsOf, NOWHERE, resultsOf, useServer } from './server-support';

const { client, line, intake, isStarted } = useServer();

/** How often a run was told anything. */
async function noticesTo(workflowId: string): Promise<number> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes != null).length;
}

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

import { connect } from 'node:net';
import { bodyOf, monitorSource, post, TOKEN, until, type Answered } from './intake-support';
import { sign } from './senders/support';
import { metricsOf, resultsOf, SECRET, useServer } from './server-support';

const { client, line, intake, isStarted } = useServer();

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

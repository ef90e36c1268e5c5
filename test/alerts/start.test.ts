import type { Client } from '@temporalio/client';
import type { Alert } from '../../src/contract/alert';
import { priorityOf } from '../../src/contract/priority';
import { lazyClient } from '../../src/alerts/lazy-client';
import { startIntake } from '../../src/worker/intake';
import { createStarter, type Startable } from '../../src/alerts/start';
import { createTemporalCalls, Unavailable } from '../../src/alerts/temporal-calls';
import { bodyOf, configOf, memoryLog, post, until, type Answered } from './intake-support';
import { MINUTE, plan, soon, useStarters } from './start-support';

const { temporal, freshStarter, describeRun, terminate, noticesOf } = useStarters();
const { client, line } = temporal;

describe('an alert that fires', () => {
  it('is a run that Temporal has: its type, queue, input, and the title where people look', async () => {
    const one = plan({ fingerprint: 'first', title: 'Größe:\n' + '日本語 '.repeat(100) });
    expect(await freshStarter().firing(...one, soon())).toBe('started');
    const found = await describeRun(one);
    expect(found.type).toBe('checkBackups');
    expect(found.taskQueue).toBe('runbooks');
    expect(found.status.name).toBe('RUNNING');
    const summary = await found.staticSummary();
    expect(summary).toMatch(/^Größe: 日本語 .*…$/);
    expect(summary).not.toContain('\ufffd');
    const { events } = await client.workflow.getHandle(one[0].workflowId).fetchHistory();
    const started = events![0]!.workflowExecutionStartedEventAttributes!;
    expect(JSON.parse(Buffer.from(started.input!.payloads![0]!.data!).toString())).toEqual(one[0].input);
    const { priorityKey, fairnessKey } = started.priority ?? {};
    expect({ priorityKey, fairnessKey }).toEqual(
      priorityOf({ service: 'booking', priority: one[0].severity }),
    );
  });

  it('is the same run when it comes again, also to an intake that does not remember it', async () => {
    const one = plan({ fingerprint: 'again' });
    const starter = freshStarter();
    expect(await starter.firing(...one, soon())).toBe('started');
    const { runId } = await describeRun(one);
    expect(await starter.firing(...one, soon())).toBe('repeat');
    expect(await freshStarter().firing(...one, soon())).toBe('repeat');
    expect((await describeRun(one)).runId).toBe(runId);
  });

  it('is not done again when its run has ended: it is the same episode', async () => {
    const one = plan({ fingerprint: 'ended' });
    await freshStarter().firing(...one, soon());
    const { runId } = await describeRun(one);
    await terminate(one);
    expect(await freshStarter().firing(...one, soon())).toBe('repeat');
    expect((await describeRun(one)).runId).toBe(runId);
    const later = plan({ fingerprint: 'ended', startsAt: '2026-11-22T00:00:00.000Z' });
    expect(await freshStarter().firing(...later, soon())).toBe('started');
  });

  it('without a start time is one run while that is open, and another one afterwards', async () => {
    const one = plan({ fingerprint: 'timeless', startsAt: null });
    const starter = freshStarter();
    expect(await starter.firing(...one, soon())).toBe('started');
    expect(await freshStarter().firing(...one, soon())).toBe('repeat');
    expect(await starter.firing(...one, soon())).toBe('repeat');
    const { runId } = await describeRun(one);
    await terminate(one);
    // Within seconds it is taken for a repeat; that nobody hears of it is noticed when the run is told.
    expect(await starter.firing(...one, soon())).toBe('repeat');
    expect(await starter.flush(soon())).toBe(0);
    expect(await starter.firing(...one, soon())).toBe('started');
    expect((await describeRun(one)).runId).not.toBe(runId);
  });

  it('of a group belongs to the run of the group', async () => {
    const group = { group: ['labels.name'] };
    const [one, other] = ['g1', 'g2'].map((fingerprint) => plan({ fingerprint }, group)) as [
      [Startable, Alert],
      [Startable, Alert],
    ];
    const starter = freshStarter();
    expect(await starter.firing(...one, soon())).toBe('started');
    expect(await starter.firing(...other, soon())).toBe('repeat');
    expect(await starter.resolved(...one, soon())).toBe('others');
    expect(await noticesOf(one[0].workflowId)).toEqual([]);
    expect(await starter.resolved(...other, soon())).toBe('told');
    expect(await noticesOf(one[0].workflowId)).toMatchObject([{ status: 'resolved' }]);
  });

  it('belongs to the open incident, whoever noticed it and whenever it began, and not to a new one when that was just closed', async () => {
    const led = { runbook: 'respondToIncident', group: ['labels.service'] };
    const alerts = [
      plan({ fingerprint: 'i1' }, led),
      plan({ fingerprint: 'i2', labels: { service: 'booking', instance: 'b' } }, led),
      plan({ fingerprint: 'i1', startsAt: '2026-11-21T03:07:00.000Z' }, led),
      plan({ fingerprint: 'i1', source: 'second' }, led),
    ];
    const starter = freshStarter();
    const results = [];
    for (const one of alerts) results.push(await starter.firing(...one, soon()));
    expect(results).toEqual(['started', 'repeat', 'repeat', 'repeat']);
    await starter.flush(soon());
    const { workflowId } = alerts[0]![0];
    expect(await noticesOf(workflowId)).toMatchObject([{ count: 3, startsAt: '2026-11-21T03:07:00.000Z' }]);
    // Each sender says for itself when it is over.
    expect(await starter.resolved(...alerts[0]!, soon())).toBe('others');
    expect(await starter.resolved(...alerts[1]!, soon())).toBe('others');
    expect(await starter.resolved(...alerts[3]!, soon())).toBe('told');

    await terminate(alerts[0]!);
    expect(await freshStarter().firing(...alerts[0]!, soon())).toBe('repeat');
    const anew = plan({ fingerprint: 'i1', startsAt: new Date(Date.now() + MINUTE).toISOString() }, led);
    expect(await freshStarter().firing(...anew, soon())).toBe('started');
    await terminate(anew);
    // Still sent long after it was closed: it was not over.
    expect(await freshStarter(MINUTE, 0).firing(...alerts[0]!, soon())).toBe('started');
  });

  it('that many send at the same moment is started once', async () => {
    const one = plan({ fingerprint: 'crowd' });
    const starter = freshStarter();
    const results = await Promise.all(Array.from({ length: 200 }, () => starter.firing(...one, soon())));
    expect(results.filter((result) => result === 'started')).toHaveLength(1);
    expect(await starter.flush(soon())).toBe(0);
    expect(await noticesOf(one[0].workflowId)).toMatchObject([{ status: 'firing', count: 199 }]);
  });
});

describe('what a run hears', () => {
  it('is how often its alert came, at most once an interval', async () => {
    const one = plan({ fingerprint: 'counted' });
    const starter = freshStarter();
    for (let count = 0; count < 50; count += 1) await starter.firing(...one, soon());
    expect(await noticesOf(one[0].workflowId)).toEqual([]);
    await starter.flush(soon());
    await starter.flush(soon());
    expect(await noticesOf(one[0].workflowId)).toEqual([
      { status: 'firing', count: 49, startsAt: expect.any(String), at: expect.stringMatching(/^20.*Z$/) },
    ]);
  });

  it('is at once that the alert is resolved, with what it did not know yet, and only once', async () => {
    const one = plan({ fingerprint: 'mended' });
    const starter = freshStarter();
    for (let count = 0; count < 4; count += 1) await starter.firing(...one, soon());
    for (let count = 0; count < 100; count += 1) expect(await starter.resolved(...one, soon())).toBe('told');
    await starter.flush(soon());
    expect(await noticesOf(one[0].workflowId)).toMatchObject([{ status: 'resolved', count: 3 }]);
  });

  it('is little of an alert that goes on and off', async () => {
    const one = plan({ fingerprint: 'flapping' });
    const starter = freshStarter();
    for (let count = 0; count < 200; count += 1) {
      await starter.firing(...one, soon());
      await starter.resolved(...one, soon());
    }
    await starter.flush(soon());
    const notices = await noticesOf(one[0].workflowId);
    expect(notices.length).toBeLessThanOrEqual(2);
    expect(notices.at(-1)).toMatchObject({ status: 'resolved' });
    expect(notices.reduce((sum, { count }) => sum + count, 0)).toBe(199);
  });

  it('is nothing where there is no run: what is resolved starts none', async () => {
    const one = plan({ fingerprint: 'never-began' });
    const starter = freshStarter();
    expect(await starter.resolved(...one, soon())).toBe('ended');
    await expect(describeRun(one)).rejects.toThrow(/not found/i);
    expect(await starter.firing(...one, soon())).toBe('started');
  });

  it('reaches it from an intake that does not remember it', async () => {
    const one = plan({ fingerprint: 'restarted' });
    await freshStarter().firing(...one, soon());
    expect(await freshStarter().resolved(...one, soon())).toBe('told');
  });

  it('waits for its start', async () => {
    const order: string[] = [];
    let persist = (): void => undefined;
    const persisted = new Promise<void>((resolve) => (persist = resolve));
    const slow = {
      workflow: {
        start: async () => {
          await persisted;
          order.push('started');
        },
        getHandle: () => ({ signal: async () => void order.push('told') }),
      },
    } as unknown as Client;
    const calls = { call: <T>(_: number, body: (to: Client) => Promise<T>) => body(slow) };
    const starter = createStarter({ calls, taskQueue: 'runbooks' });
    const one = plan({ fingerprint: 'overtaken' });
    const both = Promise.all([starter.firing(...one, soon()), starter.resolved(...one, soon())]);
    setImmediate(persist);
    expect(await both).toEqual(['started', 'told']);
    expect(order).toEqual(['started', 'told']);
  });
});

describe('while Temporal does not answer', () => {
  const through = () => lazyClient(configOf({}, line.address));

  it.each(['stalled', 'cut'] as const)(
    '(%s) nothing counts as started, and the next try is',
    async (state) => {
      const { client: own, close } = through();
      const starter = createStarter({ calls: createTemporalCalls(own), taskQueue: 'runbooks' });
      const one = plan({ fingerprint: `line-${state}` });
      await starter.firing(...plan({ fingerprint: `warm-${state}` }), soon());
      line.set(state);
      await expect(starter.firing(...one, Date.now() + 300)).rejects.toThrow(Unavailable);
      await expect(starter.resolved(...one, Date.now() + 300)).rejects.toThrow(Unavailable);
      line.set('open');
      // What was on its way may have arrived meanwhile; either way there is one run, and it is known.
      expect(['started', 'repeat']).toContain(await starter.firing(...one, soon()));
      expect((await describeRun(one)).status.name).toBe('RUNNING');
      await close();
    },
  );

  it('repeats are kept until they can be told', async () => {
    const { client: own, close } = through();
    const starter = createStarter({ calls: createTemporalCalls(own), taskQueue: 'runbooks' });
    const one = plan({ fingerprint: 'kept' });
    for (let count = 0; count < 3; count += 1) await starter.firing(...one, soon());
    line.set('cut');
    expect(await starter.flush(Date.now() + 300)).toBe(1);
    line.set('open');
    expect(
      await until(
        () => starter.flush(soon()),
        (untold) => untold === 0,
      ),
    ).toBe(0);
    const told = (await noticesOf(one[0].workflowId)).reduce((sum, { count }) => sum + count, 0);
    expect(told).toBe(2);
    await close();
  });

  it('no more wait than may, and those that waited too long leave', async () => {
    line.set('stalled');
    const { client: own, close } = through();
    const { call } = createTemporalCalls(own, { concurrent: 2, waiting: 3 });
    const untilMs = Date.now() + 1_000;
    const ask = () =>
      call(untilMs, (to) => to.workflowService.getSystemInfo({})).then(
        () => 'answered',
        (error: Error) => error.message,
      );
    const answers = await Promise.all(Array.from({ length: 8 }, ask));
    expect(answers.slice(0, 5)).toEqual(Array(5).fill(expect.stringMatching(/in time|DEADLINE/)));
    expect(answers.slice(5)).toEqual(Array(3).fill('too many alerts at once'));
    line.set('open');
    expect(await call(soon(), (to) => to.workflowService.getSystemInfo({}))).toHaveProperty('serverVersion');
    await close();
  });
});

describe('10,000 deliveries of one alert', () => {
  it('are one run with a short history, and the run knows how many there were', async () => {
    const { log } = memoryLog();
    const intake = await startIntake(configOf({}, temporal.address), { log });
    const url = `${intake.url}/alerts/monitor`;
    const body = bodyOf({ id: 'ten-thousand' });
    const answers: Answered[] = [];
    const begunMs = Date.now();
    const send = async (): Promise<void> => {
      for (let count = 0; count < 500; count += 1) answers.push(await post(url, body));
    };
    await Promise.all(Array.from({ length: 20 }, send));
    await intake.stop();
    const results = answers.map(({ status, body: { alerts } }) => `${status} ${alerts?.[0]?.result}`);
    expect(results.filter((result) => result === '202 started')).toHaveLength(1);
    expect(results.filter((result) => result === '202 repeat')).toHaveLength(9_999);
    const { workflowId } = answers[0]!.body.alerts![0]!;
    const notices = await noticesOf(workflowId!);
    // One for each minute that it took, and one at the end.
    expect(notices.length).toBeLessThanOrEqual((Date.now() - begunMs) / MINUTE + 1);
    expect(notices.reduce((sum, { count }) => sum + count, 0)).toBe(9_999);
  });
});

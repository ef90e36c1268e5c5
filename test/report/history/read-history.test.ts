import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultDataConverter } from '@temporalio/common/lib/converter/data-converter';
import { defaultFailureConverter, defaultPayloadConverter } from '@temporalio/common';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import type { Client } from '@temporalio/client';
import { buildReport, scrubAll } from '../../../src/report/history/read-history';
import type { HistoryEvent } from '../../../src/report/history/events';
import { proofText, senderText } from '../../../src/report/text/proof';
import { activitiesOf } from '../../../src/contract/run-history';
import { rolledBack } from '../sample';

const client = {
  options: {
    loadedDataConverter: {
      payloadConverter: defaultPayloadConverter,
      failureConverter: defaultFailureConverter,
      payloadCodecs: defaultDataConverter.payloadCodecs ?? [],
    },
  },
} as unknown as Pick<Client, 'options'>;

function stored(name: string): HistoryEvent[] {
  const json: unknown = JSON.parse(readFileSync(join(__dirname, 'fixtures', `${name}.json`), 'utf8'));
  return historyFromJSON(json).events ?? [];
}

function read(name: string, status: string, events = stored(name)) {
  return buildReport(events, client, { workflowId: name, runId: 'run-1', status, sizeBytes: 1_000 });
}

describe('a report from a stored history', () => {
  it('takes the report that the run returned, and adds attempts, failures and the worker', async () => {
    const report = await read('flaky-1', 'COMPLETED');
    expect(report).toMatchObject({
      title: 'Migrate a database',
      outcome: 'SUCCEEDED',
      startedBy: 'dana',
      history: { toldByRun: true, taskQueue: 'runbooks' },
    });
    expect(report.history.activities).toHaveLength(1);
    expect(report.history.activities[0]).toMatchObject({
      title: 'Back up booking/production',
      type: 'flaky',
      attempts: 2,
      status: 'done',
    });
    expect(report.history.activities[0]?.failure).toContain('was lost');
    expect(report.history.activities[0]?.worker).toMatch(/@/);
  });

  it('prefers the run report given with it, e.g. from the memo', async () => {
    const own = rolledBack();
    const report = await buildReport(stored('flaky-1'), client, {
      workflowId: 'x',
      runId: 'y',
      status: 'FAILED',
      sizeBytes: 1,
      own,
    });
    expect(report).toMatchObject({
      outcome: 'ROLLED_BACK',
      summary: own.summary,
      history: { toldByRun: true, status: 'FAILED' },
    });
  });

  it('tells of another workflow type from its events alone', async () => {
    const report = await read('foreign-1', 'COMPLETED');
    expect(report).toMatchObject({
      runbook: 'foreignJob',
      outcome: 'SUCCEEDED',
      service: '',
      history: { toldByRun: false },
    });
    expect(report.timeline.map(({ title, status }) => [title, status])).toEqual([
      ['Back up booking/production', 'done'],
      ['Timer', 'done'],
      ['SUCCEEDED', 'note'],
    ]);
    expect(report.facts).toEqual({ activities: 1, retries: 1 });
    expect(report.endedAt).toBeDefined();
  });

  it('puts no password into the report, not even one from a failure', async () => {
    expect(JSON.stringify(stored('foreign-1'))).toContain('hunter2hunter2');
    const report = await read('foreign-1', 'COMPLETED');
    expect(JSON.stringify(report)).not.toContain('hunter2');
    expect(report.history.activities[0]?.failure).toContain('app:***@db/booking');
  });

  it('says of a terminated run who ended it and that nothing was undone', async () => {
    const report = await read('term-1', 'TERMINATED');
    expect(report.outcome).toBe('NEEDS_HUMAN');
    expect(report.summary).toMatch(/^terminated by .* \(stuck node\): nothing was undone/);
    expect(report).toMatchObject({ runbook: 'migrateDatabase', service: 'booking', startedBy: 'dana' });
  });

  it('lists messages with who and when, and what was answered', async () => {
    const { history } = await read('term-1', 'TERMINATED');
    expect(history.messages).toEqual([
      expect.objectContaining({ kind: 'update', name: 'note', by: 'sam', answer: 'note by sam taken' }),
    ]);
    expect(history.messages[0]?.at).toMatch(/^2026-.*Z$/);
  });

  it('lists nothing that runs and guards say to each other', async () => {
    const events = stored('term-1');
    const between = [
      'lease',
      'verdict',
      'wake',
      'goOn',
      'childRests',
      'request',
      'keep',
      'admit',
      'rest',
      'ended',
    ];
    for (const signalName of [...between, 'alert'])
      events.push({ workflowExecutionSignaledEventAttributes: { signalName } } as (typeof events)[number]);
    const { history } = await read('term-1', 'TERMINATED', events);
    expect(history.messages.map(({ name }) => name)).toEqual(['note', 'alert']);
  });

  it('says beside a claimed name which client it was, and who for the server', async () => {
    const events = stored('term-1');
    const accepted = events.find((event) => event.workflowExecutionUpdateAcceptedEventAttributes)!;
    const { acceptedRequest } = accepted.workflowExecutionUpdateAcceptedEventAttributes!;
    acceptedRequest!.input!.name = 'approve';
    acceptedRequest!.input!.args = {
      payloads: [defaultPayloadConverter.toPayload({ plan: 'abc', by: 'sam', key: 'SHA256:abc' })],
    };
    acceptedRequest!.meta!.identity = '4711@desk';
    accepted.principal = { type: 'jwt', name: 'sam@example.org' };
    const known = { by: 'sam', identity: '4711@desk', principal: 'jwt:sam@example.org' };
    const { approvals, history } = await read('term-1', 'TERMINATED', events);
    expect(approvals).toEqual([expect.objectContaining({ plan: 'abc', key: 'SHA256:abc', ...known })]);
    expect(history.messages[0]).toMatchObject(known);
    expect(proofText(approvals[0]!)).toBe(
      'signed by key SHA256:abc, principal jwt:sam@example.org, identity 4711@desk',
    );
    expect(senderText({ ...history.messages[0]!, by: '4711@desk' })).toBe(
      '4711@desk (principal jwt:sam@example.org)',
    );
  });

  it('shows what is in progress when the run has not ended', async () => {
    const events = stored('foreign-1');
    const scheduled = events.findIndex((event) => event.activityTaskScheduledEventAttributes);
    const report = await read('foreign-1', 'RUNNING', events.slice(0, scheduled + 1));
    expect(report).toMatchObject({
      summary: 'in progress: Back up booking/production',
    });
    expect(report).not.toHaveProperty('outcome');
    expect(report).not.toHaveProperty('endedAt');
    expect(report.timeline[0]?.status).toBe('running');
  });

  it('survives an empty history', async () => {
    await expect(read('nothing', 'RUNNING', [])).resolves.toMatchObject({
      timeline: [],
      summary: 'running; no activity in progress',
    });
  });
});

describe('what belongs to a step', () => {
  const activity = { title: 'Check', type: 'check', attempts: 1, status: 'done' as const };

  it('is what has its title and was scheduled within it', () => {
    const entry = {
      title: 'Check',
      startedAt: '2026-11-21T03:00:10.000Z',
      endedAt: '2026-11-21T03:00:20.000Z',
    };
    const within = { ...activity, scheduledAt: '2026-11-21T03:00:12.000Z' };
    const later = { ...activity, scheduledAt: '2026-11-21T03:10:00.000Z' };
    const other = { ...within, title: 'Other' };
    expect(activitiesOf(entry, [within, later, other])).toEqual([within]);
  });
});

describe('scrubbing a report', () => {
  it('reaches every text, and leaves numbers and flags alone', () => {
    const dirty = {
      a: ['postgresql://u:secretsecret@h/d'],
      b: { c: 'password=x1 y' },
      n: 3,
      t: true,
      z: null,
    };
    expect(scrubAll(dirty)).toEqual({
      a: ['postgresql://u:***@h/d'],
      b: { c: 'password=*** y' },
      n: 3,
      t: true,
      z: null,
    });
  });
});

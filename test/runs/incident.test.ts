import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { incidentSchema } from '../../src/activities/incidents/settings';
import type { IncidentRecord } from '../../src/contract/incident';
import { reportFromHistory } from '../../src/report/history/read-history';
import { renderHtml } from '../../src/report/page/html';
import { renderMarkdown } from '../../src/report/text/markdown';
import { runCli, temporaryFolder, type CliResult } from '../cli/harness';
import { until } from '../support/postgres';
import { useSampleApp } from './sample-app';
import { startWorkerProcess } from './worker-process';

const folder = temporaryFolder();
const { driver, app } = useSampleApp();
beforeEach(() => app.reset());
afterAll(() => folder.remove());

const cli = (...args: string[]): Promise<CliResult> =>
  runCli(args, { cwd: folder.path, env: { TEMPORAL_ADDRESS: driver.stack.temporal.address } });
const incidentOf = async (handle: WorkflowHandle, holds: (incident: IncidentRecord) => boolean) => {
  const { incident } = await driver.until(
    handle,
    (status) => status.incident !== undefined && holds(status.incident),
  );
  return incident as IncidentRecord;
};
/** A rollback that waits for an approval, whatever the mode of the incident. */
const rollBackAfterApproval = () => {
  const incident = incidentSchema.parse({
    runbooks: [
      { match: { finding: 'recent-deployment' }, runbook: 'rollBackDeployment', input: { mode: 'propose' } },
    ],
  });
  Object.assign(app.service, { incident });
};

describe('respondToIncident', () => {
  it('changes nothing and tells nobody in mode observe', async () => {
    await app.deployBad();
    const before = app.state();
    const { outcome, report } = await driver.run('respondToIncident', { title: 'Errors', mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions).toMatchObject([
      { action: expect.stringMatching(/^lead as P1/) as string },
      { action: 'start resolveHighErrorRate' },
    ]);
    expect(app.state()).toEqual(before);
    expect(report.incident?.pages).toBe(0);
  });

  it('starts a rollback, is resolved when that is proved, and its post-mortem tells what really happened', async () => {
    rollBackAfterApproval();
    await app.deployBad();
    const handle = await driver.start('respondToIncident', {
      title: 'Checkout fails',
      impact: 'most bookings fail',
    });
    const id = handle.workflowId;
    const { runbook, severity, findings } = await incidentOf(
      handle,
      (incident) => incident.runbook !== undefined,
    );
    expect(severity).toBe('P1');
    expect(findings).toContainEqual(expect.objectContaining({ name: 'recent-deployment', ok: false }));
    expect(findings).toContainEqual({
      name: 'errors-in-the-log',
      ok: expect.any(Boolean) as boolean,
      detail: expect.stringMatching(/^\d+ errors? since .* UTC: \d+ x .*\(at .*; requests? req-/) as string,
    });
    expect((await cli('incident', 'ack', id, '--by', 'ben')).stdout).toBe(
      'acknowledged by ben; commander: ben\n',
    );

    expect((await cli('incident', 'ack', id, '--by', 'cleo')).code).toBe(2);
    expect((await cli('incident', 'resolve', id)).stderr).toMatch(/required option '--note <text>'/);
    expect((await cli('incident', 'ack', 'no-such-incident')).code).toBe(5);
    const tooEarly = await cli('incident', 'resolve', id, '--note', 'done', '--by', 'ben');
    expect([tooEarly.code, tooEarly.stderr]).toEqual([
      2,
      expect.stringMatching(
        /The run refused that: not resolved: .*error rate .*the runbook rollBackDeployment still runs/,
      ),
    ]);
    const child = driver.stack.client.workflow.getHandle(runbook?.workflowId ?? '');
    const { id: plan } = await driver.waiting(child, 'approval');
    await driver.answer(child, 'approve', { plan, by: 'cleo' });
    await incidentOf(handle, (incident) => incident.runbook?.outcome === 'SUCCEEDED');
    const resolved = await cli(
      'incident',
      'resolve',
      id,
      '--note',
      'rolled back',
      '--root-cause',
      'a bad release',
      '--by',
      'ben',
    );
    expect([resolved.code, resolved.stdout]).toEqual([
      0,
      expect.stringMatching(/^resolved; health 2 of 2 well.*rollBackDeployment ended as SUCCEEDED/),
    ]);

    // Everybody is told first.
    await incidentOf(handle, (incident) => incident.actions.length > 0);
    const status = await cli('status', id);
    expect(status.stdout).toMatch(/P1 RESOLVED .*Checkout fails/);
    expect(status.stdout).toMatch(/to do: A1 Add the missing test coverage \(ben, due /);
    await cli('incident', 'meeting', id, '--at', '2026-01-31T14:00:00Z', '--by', 'ben');
    for (const action of ['A1', 'A2', 'A3'])
      await cli('incident', 'close-action', id, action, '--by', 'ben', '--note', 'done');
    const { outcome, report } = await driver.end(handle);
    expect(outcome).toBe('SUCCEEDED');

    // Made from the history, not from what the test believes.
    const told = await reportFromHistory(driver.stack.client, id);
    const markdown = renderMarkdown(told);
    for (const { title } of report.timeline) expect(markdown).toContain(`| ${title.replace(/\|/g, '\\|')} |`);
    expect(markdown).toContain('# P1: Checkout fails (booking)');
    expect(markdown).toMatch(/\*\*CLOSED\*\*/);
    expect(markdown).toMatch(/## Root cause\n\na bad release/);
    expect(markdown).toMatch(/- recent-deployment: 1\.5\.0 was put in front .* before the symptom/);
    expect(markdown).toMatch(/- it was called over too early: ben says that it is over: .*error rate/);
    expect(markdown).toContain('## Runbook rollBackDeployment');
    const file = join(folder.path, 'postmortem.html');
    expect((await cli('report', id, '--html', '--out', file)).code).toBe(0);
    const html = readFileSync(file, 'utf8');
    expect(html).toBe(renderHtml(told, told.history, new Date(madeAt(html))));
    const picture = /<svg class="timeline"[\s\S]*?<\/svg>/.exec(html)?.[0] ?? '';
    for (const title of [
      'Incident P1',
      'Until it was acknowledged',
      'Runbook rollBackDeployment',
      '↳ Put 1.4.1 in front',
    ])
      expect(picture).toContain(title);
    expect(html).not.toMatch(/<script|<img|https?:\/\/(?!www\.w3\.org)/);
  });

  it('is still led after its worker was killed', async () => {
    const handle = await driver.start('respondToIncident', { title: 'Slow', severity: 'P2' });
    await incidentOf(handle, (incident) => incident.updates > 0);
    await driver.stack.worker.stop();
    const worker = await startWorkerProcess(driver.stack.configFile);
    await driver.answer(handle, 'acknowledge', { by: 'ben' });
    // A message that is being sent would be tried again only after a minute.
    await until(async () => ((await handle.describe()).raw.pendingActivities ?? []).length === 0);
    await worker.kill();
    const next = await startWorkerProcess(driver.stack.configFile);
    try {
      const { acknowledged, pages, updates } = await incidentOf(handle, () => true);
      expect({ by: acknowledged?.by, pages, updates }).toEqual({ by: 'ben', pages: 1, updates: 1 });
      // What it says was sent has arrived.
      const arrived = driver.stack.inbox.received().filter(({ text }) => text.startsWith('P2: Slow'));
      expect(arrived.map(({ kind, channel }) => `${kind} ${channel}`).sort()).toEqual(
        expect.arrayContaining(['page on-call', 'status lead', 'status on-call']),
      );
      await driver.answer(handle, 'resolve', { by: 'ben', note: 'fast again' });
      expect((await driver.end(handle)).report.summary).toMatch(/^P2 resolved after .* by ben: fast again$/);
    } finally {
      await next.stop();
    }
  });
});

/** The page says when it was made. */
function madeAt(html: string): string {
  const [, time = ''] = /Made (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC/.exec(html) ?? [];
  return `${time.replace(' ', 'T')}Z`;
}

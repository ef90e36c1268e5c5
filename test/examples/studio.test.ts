import type { WorkflowHandle } from '@temporalio/client';
import { readSwitches } from '../../examples/studio/switches';
import { TROUBLES } from '../../examples/studio/trouble';
import { listDeployments } from '../../examples/shared/deployments';
import { withClient } from '../../examples/shared/database';
import type { RunReport } from '../../src/contract/report';
import { startExample, type ExampleStack } from '../../src/local/stack';
import { runCli } from '../cli/harness';
import { until } from '../support/postgres';
import { missingMonitoring } from '../support/monitoring';
import { quietTemporal } from '../support/quiet';
import { hasRedis } from '../support/redis';
import { agree, watch, type Watched } from './watch';

quietTemporal();
const missing = [...missingMonitoring(), ...(hasRedis() ? [] : ['redis-server'])];
if (missing.length > 0) process.stderr.write(`skipped: ${missing.join(' and ')} not found\n`);
const testReal = missing.length > 0 ? test.skip : test;

let stack: ExampleStack;
let watched: Watched;
let app: string;
beforeAll(async () => {
  if (missing.length > 0) return;
  stack = await startExample('studio');
  const { environment } = stack.example;
  app = environment['STUDIO_APP_URL']!;
  process.env['RUNBOOKS_CONFIG'] = stack.configFile;
});
afterAll(async () => {
  delete process.env['RUNBOOKS_CONFIG'];
  await watched?.stop();
  await stack?.stop();
});
/** What was tried by hand before is no alert. */
async function beginWatching(): Promise<void> {
  const token = stack.example.environment['STUDIO_ALERTS_TOKEN']!;
  const rules = (text: string) => text.replaceAll(/for: (5|15)s/g, 'for: 1s');
  watched = await watch(stack, { example: 'studio', appUrl: app, token, rules });
}

const trouble = (name: string, count = 2) => TROUBLES[name]!.make({ count, seconds: 1 });
const sql = <T extends object>(statement: string): Promise<T[]> =>
  withClient(stack.example.environment['STUDIO_PRODUCTION_URL']!, async (client) => {
    const { rows } = await client.query<T>(statement);
    return rows;
  });
const send = (method: string, path: string, body: object, headers: Record<string, string> = {}) =>
  fetch(`${app}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const json = async <T>(path: string) => (await (await fetch(`${app}${path}`)).json()) as T;

/** Runs of a runbook, as alerts have started them. */
async function runs(runbook: string): Promise<{ workflowId: string; runId: string }[]> {
  const found = [];
  const query = `WorkflowType = '${runbook}'`;
  for await (const info of stack.client.workflow.list({ query }))
    if (info.workflowId.includes('/alert-')) found.push(info);
  return found;
}
/** The one that comes for it. */
async function runFor(runbook: string, make: () => Promise<void>): Promise<WorkflowHandle> {
  const before = (await runs(runbook)).map(({ runId }) => runId);
  await make();
  const { workflowId, runId } = await watched.until(`a run of ${runbook}`, async () =>
    (await runs(runbook)).find((run) => !before.includes(run.runId)),
  );
  return stack.client.workflow.getHandle(workflowId, runId);
}
const reportOf = async (handle: WorkflowHandle) => (await handle.result()) as RunReport;
const goneAlert = (alert: string) =>
  watched.until(`the end of ${alert}`, async () => ((await watched.fires(alert)) ? undefined : true));

testReal('what it writes is a configuration in which nothing is wrong', async () => {
  const { configFile, example } = stack;
  const { stdout, stderr, code } = await runCli(['check', '--config', configFile], {
    env: example.environment,
  });
  expect([code, stdout + stderr]).toEqual([0, expect.not.stringMatching(/\berror\b/i)]);
});

testReal(
  'documents are saved with the version that they were written upon, and the journal has each attempt',
  async () => {
    const [{ id } = { id: '' }] = await sql<{ id: string }>(
      'SELECT id FROM documents ORDER BY updated_at LIMIT 1',
    );
    const { version } = await json<{ version: number }>(`/api/documents/${id}`);
    const save = (content: string) =>
      send('PUT', `/api/documents/${id}/autosave`, { base: version, content, session: 'tab-9' });
    expect([(await save('one')).status, (await save('two')).status]).toEqual([200, 409]);
    expect(await json(`/api/documents/${id}`)).toMatchObject({ version: version + 1, content: 'one' });
    const attempts = await sql(
      `SELECT content, status FROM save_attempts WHERE document_id = '${id}' AND session_id = 'tab-9' ORDER BY id`,
    );
    expect(attempts).toEqual([
      { content: 'one', status: 'saved' },
      { content: 'two', status: 'conflict' },
    ]);
    await sql(`DELETE FROM save_attempts WHERE document_id = '${id}' AND session_id = 'tab-9'`);
  },
);

testReal(
  'generations are queued and done; Stripe is believed by its signature, operators by their token',
  async () => {
    const [{ id: document } = { id: '' }] = await sql<{ id: string }>('SELECT id FROM documents LIMIT 1');
    const asked = await send('POST', '/api/ai/generate', { document, prompt: 'Go on' });
    const { id } = (await asked.json()) as { id: string };
    expect(asked.status).toBe(202);
    await until(async () => {
      const { status } = await json<{ status: string }>(`/api/ai/generations/${id}`);
      return status === 'done';
    });
    const statuses = [
      (await send('POST', '/api/webhooks/stripe', { id: 'evt_forged', type: 'invoice.paid' })).status,
      (await send('POST', '/ops/local-only', { on: true })).status,
      (await fetch(`${app}/health/ready`)).status,
    ];
    expect(statuses).toEqual([400, 401, 200]);
    // Customers pay all the time.
    await until(async () => (await sql('SELECT FROM stripe_events')).length > 0);
  },
);

testReal(
  'a release that cannot save: its rule fires, the run rolls it back, salvages what was lost and tells the writers',
  async () => {
    await beginWatching();
    const handle = await runFor('recoverAutosave', () => trouble('bad-release'));
    const report = await reportOf(handle);
    expect(report).toMatchObject({ outcome: 'SUCCEEDED', startedBy: 'alert:alertmanager', mode: 'auto' });
    expect(listDeployments(stack.directory).find(({ current }) => current)).toMatchObject({
      version: '2.3.1',
    });
    const salvaged = await sql<{ owner: string; kept: boolean }>(
      `SELECT owner_id AS owner, documents.version > base_version + 1 OR documents.content = a.content AS kept
       FROM save_attempts a JOIN documents ON documents.id = document_id WHERE status = 'salvaged'`,
    );
    expect(salvaged.length).toBeGreaterThan(0);
    expect(salvaged.every(({ kept }) => kept)).toBe(true);
    expect(report.facts).toMatchObject({ draftsSalvaged: salvaged.length, draftsNamed: 0 });
    const told = await sql<{ owner: string }>('SELECT owner_id AS owner FROM messages');
    expect(told.map(({ owner }) => owner).sort()).toEqual(
      [...new Set(salvaged.map(({ owner }) => owner))].sort(),
    );
    expect(readSwitches(stack.directory).localOnly).toBe(false);
    await goneAlert('StudioAutosaveFails');
    expect((await fetch(`${app}/health/ready`)).status).toBe(200);
  },
);

testReal(
  'events that never came and subscriptions that drifted: the rule fires, people approve, Stripe sends again',
  async () => {
    const recorded = async () => (await sql('SELECT FROM stripe_events')).length;
    const before = await recorded();
    const handle = await runFor('replayStripeEvents', async () => {
      await trouble('lost-events', 12);
      await trouble('subscription-drift', 3);
    });
    await watched.until('both rules', async () => {
      const fire = await Promise.all(
        ['StudioStripeEventsMissing', 'StudioSubscriptionsOverdue'].map((alert) => watched.fires(alert)),
      );
      return fire.every((one) => one) || undefined;
    });
    const { outcome, facts } = await agree(watched, handle);
    expect([outcome, facts]).toEqual([
      'SUCCEEDED',
      expect.objectContaining({ eventsArrived: 12, subscriptionsCorrected: 3 }),
    ]);
    expect(await recorded()).toBeGreaterThanOrEqual(before + 12);
    expect(
      await sql(`SELECT FROM subscriptions WHERE status = 'active' AND current_period_end < now()`),
    ).toEqual([]);
    await goneAlert('StudioStripeEventsMissing');
  },
);

testReal('two who wrote one document: both texts are kept', async () => {
  const handle = await runFor('recoverAutosave', () => trouble('conflicting-drafts', 2));
  expect((await reportOf(handle)).outcome).toBe('SUCCEEDED');
  const copies = await sql<{ count: number }>(
    `SELECT count(*)::int AS count FROM documents WHERE content LIKE '% Written on the phone.'`,
  );
  const kept = await sql<{ count: number }>(
    `SELECT count(*)::int AS count FROM documents WHERE content LIKE '% Written on the laptop.'`,
  );
  expect([copies, kept]).toEqual([[{ count: 2 }], [{ count: 2 }]]);
});

testReal.each([
  ['wrong-secret', 'stripe-well', 'StudioStripeRefused'],
  ['autosave-fails', 'autosave-works', 'StudioAutosaveFails'],
])('%s is seen by its rule, until %s', async (cause, end, alert) => {
  await trouble(cause);
  try {
    await watched.until(alert, async () => (await watched.fires(alert)) || undefined);
  } finally {
    await trouble(end);
  }
  expect((await fetch(`${app}/health/ready`)).status).toBe(200);
});

testReal("a webhook endpoint that Stripe has switched off is a person's, and said", async () => {
  await trouble('endpoint-off');
  const { stdout } = await runCli(
    [
      'start',
      'replayStripeEvents',
      '--config',
      stack.configFile,
      '--service',
      'studio',
      '--mode',
      'observe',
      '--watch',
    ],
    { env: stack.example.environment },
  );
  await trouble('stripe-well');
  expect(stdout).toContain('switch the webhook endpoint on');
});

testReal(
  'a provider that is down: the rule fires, the run has the other one generate, and what failed is done',
  async () => {
    const [{ id: document } = { id: '' }] = await sql<{ id: string }>('SELECT id FROM documents LIMIT 1');
    let id = '';
    const handle = await runFor('recoverAiWorkers', async () => {
      await trouble('ai-down');
      ({ id } = (await (await send('POST', '/api/ai/generate', { document, prompt: 'Go on' })).json()) as {
        id: string;
      });
    });
    const { outcome, facts } = await reportOf(handle);
    expect([outcome, facts]).toEqual([
      'SUCCEEDED',
      expect.objectContaining({ tasksPutBack: 1, tasksDone: 1 }),
    ]);
    expect(readSwitches(stack.directory).provider).toBe('anthropic');
    expect(await json(`/api/ai/generations/${id}`)).toMatchObject({ status: 'done', provider: 'anthropic' });
    await trouble('ai-well');
  },
);

testReal.each([
  ['ai-limited', /^429 /],
  ['ai-slow', /timed out/],
])('%s: generations fail, and say why', async (cause, why) => {
  const [{ id: document } = { id: '' }] = await sql<{ id: string }>('SELECT id FROM documents LIMIT 1');
  await trouble(cause);
  try {
    // The application follows its switches within a moment: the first may still be asked of the other provider.
    const error = await watched.until('the failure', async () => {
      const asked = await send('POST', '/api/ai/generate', { document, prompt: 'Go on' });
      const { id } = (await asked.json()) as { id: string };
      return until(async () => {
        const now = await json<{ status: string; error: string }>(`/api/ai/generations/${id}`);
        return now.status !== 'queued' && { error: now.error ?? undefined };
      }).then((ended) => ended.error);
    });
    expect(error).toMatch(why);
    await watched.until('the rule', async () => (await watched.fires('StudioGenerationsFail')) || undefined);
  } finally {
    await trouble('ai-well');
  }
});

testReal(
  'its own migration goes through, the unsafe one is refused, and the backup of the first can be restored',
  async () => {
    const start = (...args: string[]) =>
      runCli(
        ['start', ...args, '--config', stack.configFile, '--service', 'studio', '--mode', 'auto', '--watch'],
        {
          env: stack.example.environment,
        },
      );
    const good = await start('migrateDatabase', '--files', '20250119090000_count_words.sql');
    expect([good.code, good.stdout]).toEqual([0, expect.stringContaining('SUCCEEDED')]);
    expect(await sql('SELECT word_count FROM documents LIMIT 1')).toHaveLength(1);
    const unsafe = await start('migrateDatabase', '--files', '20250120090000_retype_versions.sql');
    expect(unsafe.stdout + unsafe.stderr).toContain('UnsafeMigration');
    const restored = await start('drillRestore');
    expect([restored.code, restored.stdout]).toEqual([0, expect.stringContaining('SUCCEEDED')]);
  },
);

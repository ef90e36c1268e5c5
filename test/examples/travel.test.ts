import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetch } from 'undici';
import { withClient } from '../../examples/shared/database';
import { promoteDeployment } from '../../examples/shared/deployments';
import { switches } from '../../examples/travel/switches';
import { makeTrouble } from '../../examples/travel/trouble';
import { customer, hold, newCustomer } from '../../examples/travel/traffic';
import { PACKAGE_ROOT } from '../../src/config/version';
import type { RunReport } from '../../src/contract/report';
import type { ExampleStack } from '../../src/local/stack';
import { runCli } from '../cli/harness';
import {
  missingMonitoring,
  startAlertmanager,
  startPrometheus,
  type MonitoringServer,
  type Prometheus,
} from '../support/monitoring';
import { quietTemporal } from '../support/quiet';
import { hasRedis } from '../support/redis';
import { startTestExample } from '../support/shared/stack';
import { agree } from './watch';

/** In mode `observe`: what it says is true, whatever the troubles have left. */
const STARTED = [
  'checkBackups',
  'drillRestore',
  'migrateDatabase',
  'vacuumBloatedTables',
  'reviewIndexes',
  'relieveConnectionPool',
  'resolveSlowResponses',
  'adjustRateLimits',
  'diagnoseAuthentication',
  'runDailyChecklist',
  'releaseStuckHolds',
  'auditProviderGate',
  'replayPaymentWebhooks',
  'drainQueueBacklog',
  'rotateSecrets',
  'respondToIncident',
];

quietTemporal();
jest.spyOn(console, 'log').mockImplementation(() => undefined);
const missing = [...missingMonitoring(), ...(hasRedis() ? [] : ['redis-server'])];
if (missing.length > 0) process.stderr.write(`skipped: ${missing.join(', ')} not found\n`);
(missing.length > 0 ? describe.skip : describe)('the travel example', () => {
  let stack: ExampleStack;
  let prometheus: Prometheus;
  let alertmanager: MonitoringServer;
  let url: string;
  const before = { ...process.env };

  beforeAll(async () => {
    stack = await startTestExample('travel', { intake: true });
    process.env['RUNBOOKS_CONFIG'] = stack.configFile;
    url = stack.example.environment['TRAVEL_APP_URL']!;
    alertmanager = await startAlertmanager(join(stack.directory, 'alertmanager'), forSearchAlone());
    prometheus = await startPrometheus({
      directory: join(stack.directory, 'prometheus'),
      scrape: { travel: url },
      rules: [quickRules()],
      alertmanager: alertmanager.url,
    });
  });
  afterAll(async () => {
    await prometheus?.stop();
    await alertmanager?.stop();
    await stack?.stop();
    process.env = before;
  });

  /** The example's own, with less patience: of seconds where it is of half a minute and more. */
  function quickRules(): string {
    return readFileSync(join(PACKAGE_ROOT, 'examples/travel/alert-rules.yml'), 'utf8')
      .replaceAll(/for: (10s|15s|30s|1m)/g, 'for: 1s')
      .replaceAll(/\[(10s|15s|30s|1m|5m)\]/g, '[5s]')
      .replaceAll(/> (30|120)$/gm, '> 3');
  }

  /** The other troubles are mended by the tests. */
  function forSearchAlone(): object {
    const token = join(stack.directory, 'alertmanager-token');
    writeFileSync(token, stack.example.environment['TRAVEL_ALERTS_TOKEN']!, { mode: 0o600 });
    const webhook = {
      url: `${stack.intake!.url}/alerts/alertmanager`,
      send_resolved: true,
      http_config: { authorization: { type: 'Bearer', credentials_file: token } },
    };
    return {
      route: {
        receiver: 'nobody',
        group_wait: '1s',
        group_interval: '1s',
        routes: [{ matchers: ['alertname=~"TravelSearch.*"'], receiver: 'runbooks' }],
      },
      receivers: [{ name: 'nobody' }, { name: 'runbooks', webhook_configs: [webhook] }],
    };
  }

  async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    for (const deadline = Date.now() + 90_000; Date.now() < deadline;) {
      const found = await look();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const measures = await fetch(`${url}/metrics`).then((answer) => answer.text());
    throw new Error(`${what} never came\n${measures.replaceAll(/^#.*\n/gm, '')}\n${prometheus.log()}`);
  }
  const fires = (alert: string) =>
    until(`${alert} that fires`, async () => {
      const found = await prometheus.query(`ALERTS{alertname="${alert}",alertstate="firing"}`);
      return found.length > 0 || undefined;
    });
  const sql = <T extends object = Record<string, unknown>>(statement: string): Promise<T[]> =>
    withClient(stack.example.environment['TRAVEL_PRODUCTION_URL']!, async (client) => {
      const { rows } = await client.query<T>(statement);
      return rows;
    });
  const measures = async () => {
    const answer = await fetch(`${url}/operations/measures`, {
      headers: { authorization: `Bearer ${stack.example.environment['TRAVEL_OPERATIONS_TOKEN']}` },
    });
    return (await answer.json()) as Record<string, number>;
  };

  const run = async (runbook: string, input: object = {}): Promise<RunReport> =>
    agree(
      { until },
      await stack.client.workflow.start(runbook, {
        taskQueue: stack.config.temporal.taskQueue,
        workflowId: `${runbook}/travel/test-${Object.keys(input).length}`,
        args: [{ service: 'travel', startedBy: 'ana', ...input }],
      }),
    );

  it('has a configuration in which nothing is wrong', async () => {
    const { stdout, code } = await runCli(['check', '--config', stack.configFile], {
      env: stack.example.environment,
    });
    expect([stdout.match(/^.*✖.*$/gm) ?? [], code]).toEqual([[], 0]);
  });

  it('answers at the addresses that its operators know', async () => {
    const get = (path: string) => fetch(`${url}${path}`);
    expect((await get('/health')).status).toBe(200);
    expect(await (await get('/health/ready')).json()).toEqual({
      status: 'ok',
      checks: { database: 'ok', redis: 'ok', search: 'ok' },
    });
    const one = await newCustomer(url, '192.0.2.1');
    const account = { email: 'runbooks@tripavail.example', password: 'not-the-password' };
    await expect(one.ask('/auth/login', account)).rejects.toThrow(/answered 401.*requestId/);
    const { packages } = await one.ask<{ packages: { id: string; unitId: string }[] }>('/packages');
    const { id: packageId, unitId } = packages[7]!;
    await expect(hold(customer(url, '192.0.2.1'), packageId, unitId)).rejects.toThrow('401');
    const held = await hold(one, packageId, unitId);
    expect(await one.ask(`/bookings/${held.id}/confirm`, {})).toMatchObject({ status: 'CONFIRMED' });
    await until('the search', async () => {
      const found = await one.ask<{ packages: object[] }>('/packages?q=wine');
      return found.packages.length === 10 || undefined;
    });
  });

  it('does a request with one idempotency key once, and sells no departure twice', async () => {
    const one = await newCustomer(url, '192.0.2.2');
    const [unit] = await sql<{ id: string; packageId: string }>(
      'SELECT id, "packageId" FROM inventory_units WHERE sold = 0 ORDER BY id DESC OFFSET 40 LIMIT 1',
    );
    const again = { packageId: unit!.packageId, unitId: unit!.id, units: 1 };
    const first = await one.ask<{ id: string }>('/bookings/quote', again);
    const asked = [1, 2].map(() => one.ask<{ id: string }>('/bookings/hold', { quoteId: first.id }, 'key-1'));
    const ids = (await Promise.allSettled(asked)).flatMap((result) =>
      result.status === 'fulfilled' ? [result.value.id] : [],
    );
    // One of the two may hear that the other is at work; a third gets what was done.
    const { id } = await one.ask<{ id: string }>('/bookings/hold', { quoteId: first.id }, 'key-1');
    expect(new Set([...ids, id]).size).toBe(1);
    const wanted = Array.from({ length: 12 }, () => hold(one, unit!.packageId, unit!.id));
    const held = (await Promise.allSettled(wanted)).filter(({ status }) => status === 'fulfilled');
    expect(held).toHaveLength(7);
    const { id: quoteId } = await one.ask<{ id: string }>('/bookings/quote', again);
    await expect(one.ask('/bookings/hold', { quoteId })).rejects.toThrow(/409.*not enough/);
  });

  it('waits for a search index that is down, from the rule of Prometheus to what is found again', async () => {
    await makeTrouble('search-down');
    await fires('TravelSearchDown');
    expect((await fetch(`${url}/health/ready`)).status).toBe(503);
    const handle = await until('a run of the alert', async () => {
      const query = `WorkflowType = 'recoverSearchIndexing'`;
      for await (const { workflowId } of stack.client.workflow.list({ query }))
        return stack.client.workflow.getHandle(workflowId);
      return undefined;
    });
    // Somebody books meanwhile: what has changed waits, and is said to.
    await fires('TravelSearchBehind');
    await makeTrouble('calm');
    const report = await agree({ until }, handle);
    expect([report.outcome, report.summary]).toEqual(['SUCCEEDED', expect.stringContaining('search')]);
    expect((await measures())['searchLagSeconds']).toBeLessThan(120);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  });

  const SYMPTOMS: [trouble: string, alert: string][] = [
    ['payment-secret', 'TravelPaymentWebhooksFail'],
    ['mail-down', 'TravelQueueJobsFail'],
    ['slow-mail', 'TravelQueueDelayed'],
    ['unapproved', 'TravelPackagesUnapproved'],
    ['shared-office', 'TravelCustomersRefused'],
    ['slow-packages', 'TravelLatencyDegraded'],
    ['stuck-holds', 'TravelHoldsStuck'],
  ];
  it.each(SYMPTOMS)('%s is noticed by %s', async (trouble, alert) => {
    const hasBooked = async () =>
      (await sql(`SELECT FROM bookings WHERE status = 'CONFIRMED'`)).length > 0 || undefined;
    await until('a booking', hasBooked);
    await makeTrouble(trouble, trouble === 'slow-mail' ? 30 : 5);
    await fires(alert);
    await makeTrouble('calm');
  });

  it('a lock that somebody keeps is noticed, and so are the requests that fail for it', async () => {
    const locked = makeTrouble('lock-waits');
    const [unit] = await sql<{ id: string; packageId: string }>(
      'SELECT id, "packageId" FROM inventory_units LIMIT 1',
    );
    const one = await newCustomer(url, '192.0.2.3');
    let asks = true;
    const asking = [1, 2, 3].map(async () => {
      while (asks) await hold(one, unit!.packageId, unit!.id).catch(() => undefined);
    });
    try {
      await fires('TravelDatabaseLockWaits');
      await fires('TravelErrorRate');
    } finally {
      asks = false;
      await Promise.all(asking);
    }
    // The forgotten transaction is ended as its runbook would.
    await sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = 'travel_app'`,
    );
    await locked.catch(() => undefined);
  });

  it('a release that cannot list packages is noticed, and the one before serves again', async () => {
    const listed = async () => (await fetch(`${url}/packages`)).status;
    await makeTrouble('bad-deploy');
    expect(await listed()).toBe(500);
    await fires('TravelErrorRate');
    promoteDeployment(stack.directory, 'dep-2');
    await until('the list', async () => (await listed()) === 200 || undefined);
  });

  it('finds what was oversold, makes the counter what the ledger says, and leaves the rest to people', async () => {
    await makeTrouble('oversold', 12);
    await fires('TravelInventoryWrong');
    const report = await run('auditInventory');
    const [worst] = await sql<{ sold: number; ledger: string }>(
      `SELECT sold, (SELECT sum(units) FROM inventory_ledger WHERE "unitId" = u.id) AS ledger
         FROM inventory_units u WHERE sold > capacity ORDER BY sold DESC LIMIT 1`,
    );
    expect(worst!.sold).toBe(Number(worst!.ledger));
    expect(worst!.sold).toBeGreaterThan(8);
    expect([report.outcome, report.summary]).toEqual([
      'SUCCEEDED',
      '1 counter of travel/production rebuilt from the ledger; a person has 1 unit',
    ]);
    expect(switches.read(stack.directory).confirmations).toBe('on');
  });

  it('starts every runbook of its seed', async () => {
    expect((await run('backUpDatabase')).outcome).toBe('SUCCEEDED');
    const inputs: Record<string, object> = {
      migrateDatabase: { files: ['2026_11_01_add_package_season.sql'] },
      respondToIncident: { title: 'Holds fail' },
    };
    const outcomes: Record<string, string | undefined> = {};
    for (const runbook of STARTED) {
      const { outcome, summary } = await run(runbook, { mode: 'observe', ...inputs[runbook] });
      outcomes[runbook] = /^(OBSERVED|NOTHING_TO_DO|SUCCEEDED)$/.test(outcome ?? '') ? 'well' : summary;
    }
    expect(outcomes).toEqual(Object.fromEntries(STARTED.map((runbook) => [runbook, 'well'])));
  });
});

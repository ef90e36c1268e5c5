// Stores the histories that test/replay.test.ts replays, or only those that are named: `store-histories.mjs guard`. Run it
// only when a runbook was changed on purpose, and say in the commit why its stored histories had to change.
// Those that need a simulator are stored by their own tests: STORE_HISTORIES=1 npx jest test/runs/stripe-events.
import { createRequire } from 'node:module';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { leaveFailedJobs } from './histories/queues.mjs';
import {
  auditPackages,
  cancelWhileItVerifies,
  deployAndExpectTooMuch,
  deployBadly,
  doubleIndexes,
  forgetTransactions,
  keepProcessorBusy,
  leadIncident,
  leakMemory,
  leaveCalendarsBehind,
  leaveDeadRows,
  leaveFailedWebhooks,
  leaveStuckHolds,
  losePayments,
  letKeysAge,
  loseSchedule,
  pauseDatabase,
  payTwice,
  publishPastTheGate,
  refuseTokens,
  safetyBackup,
  searchSlowly,
  searchWithoutCache,
  sellSlotsTwice,
  tightenLimit,
  watchLong,
} from './histories/situations.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { startStack } = require(join(root, 'dist/src/local/stack.js'));
const { historyToJSON } = require('@temporalio/common/lib/proto-utils');

const RUNS = [
  // First: there is no backup yet, so it opens an incident.
  ['run-daily-checklist', 'runDailyChecklist', {}],
  ['back-up-database', 'backUpDatabase', {}],
  ['check-backups', 'checkBackups', {}],
  ['drill-restore', 'drillRestore', {}],
  ['drill-restore-promoted', 'drillRestore', { promote: true, mode: 'propose' }],
  ['migrate-database', 'migrateDatabase', { files: ['2026_11_01_add_booking_notes.sql'], mode: 'propose' }],
  [
    'migrate-database-rolled-back',
    'migrateDatabase',
    { files: ['2026_11_03_merge_slot_capacity.sql'], mode: 'propose' },
  ],
  ['migrate-database-refused', 'migrateDatabase', { files: ['2026_11_04_unsafe_type_change.sql'] }],
  // These three with -log: since the runbook reads the log.
  [
    'migrate-database-log',
    'migrateDatabase',
    { files: ['2026_11_02_index_deliveries_concurrently.sql'], mode: 'propose' },
  ],
  ['restore-database', 'restoreDatabase', { mode: 'propose' }],
  // Needs the one before it, which makes the safety backup.
  ['release-backup', 'releaseBackup', safetyBackup],
  ['relieve-connection-pool', 'relieveConnectionPool', { mode: 'propose' }, forgetTransactions],
  ['recover-database-connections', 'recoverDatabaseConnections', { mode: 'propose' }, pauseDatabase],
  ['tune-slow-queries', 'tuneSlowQueries', { mode: 'propose' }, searchSlowly],
  ['review-indexes', 'reviewIndexes', { mode: 'propose' }, doubleIndexes],
  ['vacuum-bloated-tables', 'vacuumBloatedTables', { mode: 'propose' }, leaveDeadRows],
  ['deploy-application', 'deployApplication', { version: '1.4.2', commit: '5d0c1e2', mode: 'propose' }],
  ['roll-back-deployment', 'rollBackDeployment', { mode: 'propose' }, deployBadly],
  ['resolve-high-error-rate', 'resolveHighErrorRate', {}, deployBadly],
  ['resolve-high-error-rate-log', 'resolveHighErrorRate', {}, deployBadly],
  ['recover-from-corruption', 'recoverFromCorruption', {}, losePayments],
  ['recover-from-disaster', 'recoverFromDisaster', {}, deployBadly],
  ['resolve-slow-responses', 'resolveSlowResponses', { mode: 'propose' }, searchWithoutCache],
  ['relieve-memory-pressure', 'relieveMemoryPressure', {}, leakMemory],
  ['relieve-cpu-spike', 'relieveCpuSpike', {}, keepProcessorBusy],
  ['recover-cron', 'recoverCron', { mode: 'propose' }, loseSchedule],
  ['resolve-double-bookings', 'resolveDoubleBookings', { mode: 'propose' }, sellSlotsTwice],
  ['release-stuck-holds', 'releaseStuckHolds', {}, leaveStuckHolds],
  ['audit-provider-gate', 'auditProviderGate', { mode: 'propose' }, publishPastTheGate],
  ['reconcile-payment', 'reconcilePayment', payTwice],
  ['adjust-rate-limits', 'adjustRateLimits', { mode: 'propose', minutes: 0.1 }, tightenLimit],
  ['replay-webhook-deliveries', 'replayWebhookDeliveries', { mode: 'propose' }, leaveFailedWebhooks],
  ['diagnose-authentication', 'diagnoseAuthentication', { mode: 'propose' }, refuseTokens],
  ['recover-calendar-sync', 'recoverCalendarSync', { mode: 'propose' }, leaveCalendarsBehind],
  ['drain-queue-backlog', 'drainQueueBacklog', { mode: 'propose' }, leaveFailedJobs],
  ['recover-search-indexing', 'recoverSearchIndexing', { mode: 'propose' }, leaveFailedJobs],
  ['rotate-secrets', 'rotateSecrets', { mode: 'propose' }, letKeysAge],
  ['review-dependencies', 'reviewDependencies', { mode: 'propose' }, auditPackages],
  ['contain-security-incident', 'containSecurityIncident', { mode: 'propose', addresses: ['203.0.113.7'] }],
  [
    'respond-to-incident',
    'respondToIncident',
    { title: 'Checkout fails', severity: 'P1' },
    deployBadly,
    leadIncident,
  ],
  [
    'respond-to-incident-log',
    'respondToIncident',
    { title: 'Checkout fails', severity: 'P1' },
    deployBadly,
    leadIncident,
  ],
  ['roll-back-deployment-cancelled', 'rollBackDeployment', {}, watchLong, cancelWhileItVerifies],
  // Last: it keeps the lease of the application until a person gives it free.
  ['roll-back-deployment-needs-human', 'rollBackDeployment', {}, deployAndExpectTooMuch],
];
const named = process.argv.slice(2);
const wanted = (file) => named.length === 0 || named.includes(file);

const stack = await startStack({
  bookings: 400,
  postgres: { shared_preload_libraries: 'pg_stat_statements' },
});
try {
  for (const [file, runbook, input, before, beside] of RUNS.filter(([file]) => wanted(file))) {
    await before?.(stack);
    const handle = await stack.client.workflow.start(runbook, {
      taskQueue: stack.config.temporal.taskQueue,
      workflowId: `${runbook}/booking/${file}`,
      args: [
        {
          service: 'booking',
          startedBy: 'ana',
          ...(typeof input === 'function' ? await input(stack) : input),
        },
      ],
    });
    await beside?.(handle);
    await approveAll(handle);
    await store(file, handle);
    console.log(`${file}: ${(await handle.describe()).status.name}`);
  }
  if (wanted('guard')) await store('guard', stack.client.workflow.getHandle('guard/booking/production'));
} finally {
  await stack.stop();
}
process.exit(0);

async function approveAll(handle) {
  while ((await handle.describe()).status.name === 'RUNNING') {
    const { waiting } = await handle.query('status').catch(() => ({ waiting: [] }));
    for (const { kind, id, choices } of waiting) {
      if (kind === 'approval')
        await handle.executeUpdate('approve', { args: [{ plan: id, by: 'ben' }] }).catch(() => undefined);
      // The first choice is to go on.
      else if (kind === 'decision')
        await handle
          .executeUpdate('decide', { args: [{ question: id, choice: choices[0], by: 'ben' }] })
          .catch(() => undefined);
      else if (kind === 'task')
        await handle
          .executeUpdate('done', { args: [{ task: id, note: 'seen to it', by: 'ben' }] })
          .catch(() => undefined);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function store(file, handle) {
  const history = await handle.fetchHistory();
  mkdirSync(join(root, 'test/histories'), { recursive: true });
  writeFileSync(join(root, 'test/histories', `${file}.json`), `${historyToJSON(history)}\n`);
}

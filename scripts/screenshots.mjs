/**
 * `node scripts/screenshots.mjs`: makes docs/images/*.png from two real runs on the embedded stack: a migration that is
 * approved in the Temporal UI and rolled back, and an incident from its alert to its post-mortem. Needs a Chromium on the
 * PATH.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';
import { root, runScript, SetupError, setUp } from './setup.mjs';

const require = createRequire(import.meta.url);
const built = (path) => require(join(root, 'dist', 'src', path));
const WIDTH = 1440;
const TALL = 2400;
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

await runScript(async () => {
  await setUp();
  const { startStack } = built('local/stack.js');
  const profile = mkdtempSync(join(tmpdir(), 'runbooks-browser-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium(),
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
    viewport: { width: WIDTH, height: 1000 },
    colorScheme: 'light',
    timezoneId: 'UTC',
  });
  try {
    const stack = await startStack();
    try {
      await takeMigration(await browser.newPage(), stack);
      await takeIncident(await browser.newPage(), stack);
    } finally {
      await stack.stop();
    }
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});

async function takeMigration(page, { client, config, temporal }) {
  const { newWorkflowId } = built('cli/workflow-id.js');
  const { runAddress } = built('contract/ui-address.js');
  mkdirSync(join(root, 'docs', 'images'), { recursive: true });
  const workflowId = newWorkflowId('migrateDatabase', 'booking');
  const run = await client.workflow.start('migrateDatabase', {
    workflowId,
    taskQueue: config.temporal.taskQueue,
    staticSummary: 'Migrate a database: booking',
    args: [
      {
        service: 'booking',
        files: ['2026_11_03_merge_slot_capacity.sql'],
        mode: 'propose',
        startedBy: 'ana',
        reason: 'slots and capacity in one view',
      },
    ],
  });
  const waiting = await approvalOf(run);
  const address = runAddress(temporal.uiUrl, 'default', workflowId);
  await page.goto(address);
  await page.getByRole('tab', { name: 'User Metadata' }).click();
  const details = page.frameLocator('iframe[title="output"]').last();
  await details.getByText('Waiting for an approval').waitFor();
  const lines = details.getByRole('listitem').filter({ hasText: 'Read the migrations and the ledger' });
  await save(page, 'approval', { to: async () => (await lines.first().boundingBox()).y });

  const dialog = await fillIn(page, { ...waiting.update.argument, by: 'ben', note: 'agreed in CHG-204' });
  await save(page, 'send-update', { height: 900 });
  await dialog.getByRole('button', { name: 'Submit' }).click();
  await run.result().catch(() => undefined); // it is rolled back, which is what the pictures show

  await page.goto(address);
  await page.getByText('Health of booking/production').first().waitFor();
  await page.waitForTimeout(2_000);
  const history = page.getByRole('heading', { name: 'Event History' });
  const top = async () => (await history.boundingBox()).y;
  await save(page, 'timeline', { from: top, to: async () => (await top()) + 400 });

  const { reportFromHistory } = built('report/history/read-history.js');
  const { renderHtml } = built('report/page/html.js');
  await page.setContent(renderHtml(await reportFromHistory(client, workflowId)));
  const chart = page.locator('section').filter({ has: page.getByRole('heading', { name: 'Timeline' }) });
  const end = async () => {
    const { y, height } = await chart.first().boundingBox();
    return y + height + 16;
  };
  await save(page, 'report', { to: end });
}

async function takeIncident(page, { client, config, temporal, booking }) {
  const { openIdleTransactions } = require(join(root, 'dist', 'examples', 'booking', 'trouble.js'));
  const { newWorkflowId } = built('cli/workflow-id.js');
  const { runAddress } = built('contract/ui-address.js');
  const trouble = await openIdleTransactions({
    databaseUrl: booking.urls.production.app,
    count: 25,
    forMs: 300_000,
  });
  // Older than what the sample's configuration lets pass.
  await page.waitForTimeout(6_000);
  const workflowId = newWorkflowId('respondToIncident', 'booking');
  const title = 'Too many connections: bookings fail';
  const run = await client.workflow.start('respondToIncident', {
    workflowId,
    taskQueue: config.temporal.taskQueue,
    staticSummary: title,
    args: [
      {
        service: 'booking',
        severity: 'P1',
        impact: 'every third booking fails with a timeout',
        scope: 'all customers',
        startedBy: 'alert:alertmanager',
        alert: {
          source: 'alertmanager',
          fingerprint: 'c0ffee5ca1ab1e00',
          startsAt: new Date(Date.now() - 90_000).toISOString(),
          status: 'firing',
          severity: 'critical',
          title,
          labels: { alertname: 'BookingConnectionsHigh', service: 'booking' },
          annotations: {},
          link: null,
        },
      },
    ],
  });
  const say = (name, words) => run.executeUpdate(name, { args: [{ by: 'ben', ...words }] });
  await until(run, ({ timeline }) =>
    timeline.some((line) => /relieveConnectionPool/.test(line.detail ?? '')),
  );
  await say('acknowledge');
  await page.goto(runAddress(temporal.uiUrl, 'default', workflowId));
  await page.getByRole('tab', { name: 'User Metadata' }).click();
  const details = page.frameLocator('iframe[title="output"]').last();
  await details.getByText('Acknowledged by ben').first().waitFor();
  await save(page, 'incident', { height: 1_500 });
  await say('update', { text: 'the reporting job forgot its transactions; they are being ended' });
  await until(run, ({ timeline }) => timeline.some((line) => /SUCCEEDED/.test(line.detail ?? '')));
  await say('fact', {
    field: 'rootCause',
    text: 'the reporting job opens a transaction for each customer and forgets it',
  });
  await say('fact', {
    field: 'contributing',
    text: 'the role of the application has no idle_in_transaction_session_timeout',
  });
  await say('fact', { field: 'worked', text: 'the alert started the runbook before anybody was awake' });
  await say('fact', { field: 'failed', text: 'the first page went to a phone that was off' });
  await say('resolve', { note: 'connections are back to normal' });
  await until(
    run,
    ({ summary, timeline }) =>
      /resolved/i.test(summary) || timeline.some((line) => /^Resolved/.test(line.title)),
  );
  const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
  await say('meeting', { at: `${day(1).slice(0, 13)}:00:00Z` });
  await say('action', {
    text: 'set idle_in_transaction_session_timeout for booking_app',
    owner: 'cleo',
    due: day(7).slice(0, 10),
  });

  const { reportFromHistory } = built('report/history/read-history.js');
  const { renderHtml } = built('report/page/html.js');
  await page.setContent(renderHtml(await reportFromHistory(client, workflowId)));
  await save(page, 'postmortem', { height: 2_000 });
  await trouble.stop();
  await run.terminate('the pictures are taken');
}

async function until(run, holds) {
  for (;;) {
    const status = await run.query('status').catch(() => undefined);
    if (status !== undefined && holds(status)) return status;
    if (status?.outcome !== undefined)
      throw new Error(`the run ended before: ${status.outcome}: ${status.summary}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

async function approvalOf(run) {
  for (;;) {
    const { waiting, outcome } = await run.query('status').catch(() => ({ waiting: [] }));
    if (waiting.length > 0) return waiting[0];
    if (outcome !== undefined) throw new Error(`the run ended before its approval: ${outcome}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

async function fillIn(page, data) {
  await page.getByRole('button', { name: 'More Actions' }).click();
  await page.getByRole('menuitem', { name: 'Send an Update' }).click();
  const dialog = page.getByRole('dialog', { name: 'Send an Update' });
  await dialog.getByRole('button', { name: /^Select an / }).click();
  await page.getByRole('option', { name: /^approve/ }).click();
  const editor = dialog.locator('.cm-content').first();
  await editor.click();
  await page.keyboard.insertText(JSON.stringify(data));
  await editor.blur();
  await page.waitForTimeout(500);
  return dialog;
}

/** The page from `from` to `to` (y in px, asked once it is laid out), or as it looks in a window of `height`. */
async function save(page, name, { height = TALL, from = async () => 0, to = async () => height }) {
  const path = join(root, 'docs', 'images', `${name}.png`);
  await page.setViewportSize({ width: WIDTH, height });
  await page.waitForTimeout(500);
  const y = Math.round(await from());
  const clip = { x: 0, y, width: WIDTH, height: Math.round(await to()) - y };
  await page.screenshot({ path, clip, animations: 'disabled' });
  process.stdout.write(`${path}\n`);
}

function findChromium() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  if (found === undefined) throw new SetupError('No Chromium on the PATH: install the package chromium.');
  return found;
}

import { newWorkflowId } from '../../src/cli/workflow-id';
import { runAddress, startAddress } from '../../src/contract/ui-address';
import type { GuardState } from '../../src/contract/guard';
import { inline } from '../../src/workflows/kit/details-text';
import { startDriver, type Driver } from '../runs/harness';
import { quietTemporal } from '../support/quiet';
import { describeWithBrowser, openBrowser, type Browser } from './browser';
import { currentDetails, send, startFrom } from './temporal-ui';

quietTemporal();

const NAMESPACE = 'default';
const NOTES = '2026_11_01_add_booking_notes.sql';

describeWithBrowser('A person with a browser and nothing else', () => {
  let driver: Driver;
  let browser: Browser;
  let ui: string;
  beforeAll(async () => {
    browser = await openBrowser();
    driver = await startDriver();
    ui = driver.stack.temporal.uiUrl;
  });
  afterAll(async () => {
    await browser?.close();
    await driver?.stack.stop();
  });

  it('starts a migration, is refused with the wrong hash, and approves it by what the page says', async () => {
    const { page } = browser;
    const { client, config } = driver.stack;
    const workflowId = newWorkflowId('migrateDatabase', 'booking');
    const { taskQueue } = config.temporal;
    const address = startAddress(ui, NAMESPACE, { workflowType: 'migrateDatabase', taskQueue, workflowId });
    await startFrom(page, address, { service: 'booking', files: [NOTES], mode: 'propose', startedBy: 'ana' });

    const details = await currentDetails(page, (text) => text.includes('Waiting for an approval'));
    const plan = await details.getByRole('heading', { name: /^Plan/ }).locator('code').innerText();
    const data = JSON.parse(await details.locator('pre').innerText()) as Record<string, string>;
    expect(plan).toMatch(/^[0-9a-f]{12}$/);
    expect(data).toEqual({ plan, by: '<your name>' });
    expect(await details.innerText()).toContain(`apply ${NOTES} on booking/production`);

    const refused = await send(page, 'Send an Update', 'approve', { plan: '000000000000', by: 'ben' });
    await refused
      .getByText(`"000000000000" is not what this run waits for; open now: ${plan}`)
      .first()
      .waitFor();
    await refused.getByRole('button', { name: 'Cancel' }).last().click();
    const nameless = await send(page, 'Send an Update', 'approve', data);
    await nameless.getByText('replace <your name> in "by" by your own').first().waitFor();
    await nameless.getByRole('button', { name: 'Cancel' }).last().click();

    const dialog = await send(page, 'Send an Update', 'approve', { ...data, by: 'ben' });
    await dialog.waitFor({ state: 'hidden' });
    const { outcome, report } = await driver.end(client.workflow.getHandle(workflowId));
    expect(outcome).toBe('SUCCEEDED');
    expect(report).toMatchObject({ startedBy: 'ana', approvals: [{ plan, by: 'ben' }] });

    await page.goto(runAddress(ui, NAMESPACE, workflowId));
    await page.getByText('Completed', { exact: true }).first().waitFor();
    // Titles of the steps are the summaries of its events.
    await page.getByText('Back up booking/production').first().waitFor();
    const end = await currentDetails(page, (text) => text.includes('SUCCEEDED'));
    expect(await end.innerText()).toMatch(/approve by ben/);
  });

  it('pauses every runbook from the page of the guard, and lets them go on', async () => {
    const { page } = browser;
    const guard = runAddress(ui, NAMESPACE, 'guard/all');
    const state = () => driver.stack.client.workflow.getHandle('guard/all').query<GuardState>('state');
    await page.goto(guard);
    const paused = await send(page, 'Send a Signal', 'pause', { by: 'eva', reason: 'a storm' });
    await paused.waitFor({ state: 'hidden' });
    await currentDetails(page, (text) => /paused by eva at .* \(a storm\)/.test(text));
    expect((await state()).paused).toMatchObject({ by: 'eva', reason: 'a storm' });

    const run = await driver.start('backUpDatabase', { mode: 'auto' });
    await page.goto(runAddress(ui, NAMESPACE, run.workflowId));
    await currentDetails(page, (text) => /Now.*paused by eva/.test(text));

    await page.goto(guard);
    const resumed = await send(page, 'Send a Signal', 'resume', { by: 'eva', reason: 'it is over' });
    await resumed.waitFor({ state: 'hidden' });
    expect((await driver.end(run)).outcome).toBe('SUCCEEDED');
    expect((await state()).paused).toBeNull();
  });

  it('shows text from outside as it is written, whatever Markdown and typography make of it', async () => {
    const hostile =
      'a--b --force 1/2 (c) $x$ and $y$ ~~d~~ _i_ a_b_c x_y_ **b** [click](http://e.test) ![i](x) <b>B</b> &amp; \\ H^2^ `-- code 1/2` <b>x</b> `a``<i>b</i>`';
    const { page } = browser;
    await page.goto(
      `${ui}/render?${new URLSearchParams({ content: `- at: ${inline(hostile)}` }).toString()}`,
    );
    expect((await page.locator('li').innerText()).trim()).toBe(
      `at: ${hostile.replace(/`(-- code 1\/2)`/, '$1')}`,
    );
    expect(await page.locator('li > :not(code):not(a)').count()).toBe(0);
  });
});

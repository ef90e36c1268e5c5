/** What a person does in the Temporal UI, by the names that they see there. */
import type { Locator, Page } from 'playwright-core';

/** The "Start Workflow" page, prefilled by its address: puts the input in and presses Start. */
export async function startFrom(page: Page, address: string, input: unknown): Promise<void> {
  await page.goto(address);
  await typeData(page.getByRole('main'), input);
  await page.getByRole('button', { name: 'Start Workflow' }).click();
  await page.getByRole('link', { name: 'Workflow started successfully' }).click();
}

/** Current Details of the run whose page is open, as rendered, once `holds` is true of its text. Summary and Details stand before. */
export async function currentDetails(page: Page, holds: (text: string) => boolean): Promise<Locator> {
  await page.getByRole('tab', { name: 'User Metadata' }).click();
  const body = page.frameLocator('iframe[title="output"]').last().locator('body');
  let text = '';
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    text = await body.innerText({ timeout: 2_000 }).catch(() => text);
    if (holds(text)) return body;
    await page.waitForTimeout(500);
    // "Press the R for freshness"
    await page.keyboard.press('r');
  }
  throw new Error(`Current Details never said so; they say:\n${text}`);
}

export type Dialog = 'Send an Update' | 'Send a Signal';

/** Fills in the dialog and submits it. */
export async function send(page: Page, title: Dialog, name: string, data: unknown): Promise<Locator> {
  await page.getByRole('button', { name: 'More Actions' }).click();
  await page.getByRole('menuitem', { name: title }).click();
  const dialog = page.getByRole('dialog', { name: title });
  await dialog.getByRole('button', { name: /^Select an? / }).click();
  await page.getByRole('option', { name: new RegExp(`^${name}`) }).click();
  await typeData(dialog, data);
  await dialog.getByRole('button', { name: 'Submit' }).click();
  return dialog;
}

async function typeData(form: Locator, data: unknown): Promise<void> {
  const editor = form.locator('.cm-content').first();
  await editor.click();
  await form.page().keyboard.insertText(JSON.stringify(data));
  // The editor lays itself out anew when it is left: the next click would miss a button that moves away under it.
  await editor.blur();
  await form.page().waitForTimeout(300);
}

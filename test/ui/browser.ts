/** Chromium driven without a download: the one that the system has. */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium, type BrowserContext, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Browser {
  page: Page;
  close(): Promise<void>;
}

/** Path of a Chromium, or undefined. */
export function findChromium(): string | undefined {
  const folders = ['/usr/bin', ...(process.env['PATH'] ?? '').split(delimiter)].filter(Boolean);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

/**
 * `describe` where there is a Chromium. Without one the tests are skipped with a notice; on CI they run all the same and
 * fail, because there it is installed.
 */
export function describeWithBrowser(name: string, tests: () => void): void {
  if (findChromium() !== undefined || process.env['CI'] === 'true') describe(name, tests);
  else {
    process.stderr.write(`SKIPPED "${name}": no Chromium here. Install the package chromium to run it.\n`);
    describe.skip(name, tests);
  }
}

/** Opens a browser that knows nothing: a new, empty profile. Throws when there is none. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('no Chromium found: install the package chromium');
  const profile = mkdtempSync(join(tmpdir(), 'runbooks-browser-'));
  const remove = (): void => rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  let context: BrowserContext;
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath,
      args: ARGUMENTS,
      viewport: { width: 1400, height: 1000 },
    });
  } catch (error) {
    remove();
    throw error;
  }
  context.setDefaultTimeout(20_000);
  const page = context.pages()[0] ?? (await context.newPage());
  return {
    page,
    close: async () => {
      await context.close();
      remove();
    },
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

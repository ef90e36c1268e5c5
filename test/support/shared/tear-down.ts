/** Jest's global tear-down. */
async function tearDown(): Promise<void> {
  await (globalThis as { stopShared?: () => Promise<void> }).stopShared?.();
}

export = tearDown;

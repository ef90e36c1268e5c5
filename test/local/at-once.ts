/** Ends in its first turn. */
export async function atOnce(): Promise<void> {}

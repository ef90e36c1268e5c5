const END_MS = 2_000;

/**
 * Ends the process after a moment, with the exit code that it has, where something that is done with still holds it: a call
 * that nobody answers, or the native side of the SDK when a worker was stopped just as it asked for a turn.
 */
export function endSoon(): void {
  setTimeout(() => process.exit(), END_MS).unref();
}

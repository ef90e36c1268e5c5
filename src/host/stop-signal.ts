/**
 * Resolves with the first of `signals` that this process gets. To be called before anything is started: a process
 * that is told to stop while it comes up still ends in order. Every later one is taken and ignored, because npm
 * forwards what the terminal has sent already, and that must not cut the end short.
 */
export function stopSignal(
  signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'],
): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of signals) process.on(signal, () => resolve(signal));
  });
}

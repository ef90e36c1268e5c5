import type { ListrTask } from 'listr2' with { 'resolution-mode': 'import' };

/** Runs them in order and shows how far they are, each with its seconds. Throws what a step throws. */
export async function showSteps(tasks: ListrTask[]): Promise<void> {
  const { Listr } = await import('listr2');
  const list = new Listr(tasks, {
    // It would end the process at once: what is up has to be stopped first.
    registerSignalListeners: false,
    fallbackRenderer: 'simple',
    rendererOptions: {
      showErrorMessage: true,
      timer: {
        condition: true,
        field: (ms: number) => `${(ms / 1_000).toFixed(1)} s`,
        format: () => (text: unknown) => String(text),
      },
    },
  } as never);
  await list.run();
}

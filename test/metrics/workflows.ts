import type { z } from 'zod';
import { runbook } from '../../src/workflows/kit';

export { guard } from '../../src/workflows/guard/guard';

type AnyCard = { input: z.ZodType<Record<string, unknown>> };

/** Bears the name of a real one, and cannot go back. */
export const migrateDatabase = runbook<AnyCard>('migrateDatabase', async (_input, run) => {
  await run.step('Change it', (act) => act.checkHealth({ service: 'booking', environment: 'production' }), {
    kind: 'mutate',
    undo: {
      title: 'Change it back',
      back: async () => {
        throw new Error('disk full');
      },
    },
  });
  throw new Error('ill');
});

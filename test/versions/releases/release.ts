/** Two releases of one small world, whose `waiting` runs cannot follow each other's code. */
import type { z } from 'zod';
import { type Call, runbook } from '../../../src/workflows/kit';

export interface Input {
  service: string;
  startedBy: string;
}
export type Card = { input: z.ZodType<Input, Input> };

const look: Call<string> = (act) => (act as unknown as { look(): Promise<string> }).look();

export function release(name: 'old' | 'new') {
  return {
    /** Waits for an approval. The new one looks first, which no history of the old one has. */
    waiting: runbook<Card>('waiting', async (_, run) => {
      if (name === 'new') await run.step('Look', look);
      await run.gate(() => ({ actions: [{ action: 'change', target: 'a' }] }));
      await run.step('Look', look);
      return `by the ${name} release`;
    }),
    /** Waits for a person for as long as it takes, then lets another runbook do the work, as an incident does. */
    leading: runbook<Card>(
      'leading',
      async (input, run) => {
        await run.task('Say when');
        const { summary } = await run.child('Part', 'part', { ...input });
        return summary;
      },
      { versioning: 'AUTO_UPGRADE' },
    ),
    part: runbook<Card>('part', async () => `part of the ${name} release`),
  };
}

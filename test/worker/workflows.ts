/** A runbook that is told something nobody else is to read. */
import type { z } from 'zod';
import { type Call, runbook } from '../../src/workflows/kit';

export { guard } from '../../src/workflows/guard/guard';

interface Input {
  service: string;
  startedBy: string;
  word: string;
  fails?: boolean;
}
type Card = { input: z.ZodType<Input, Input> };
interface Words {
  repeat(input: { word: string }): Promise<string>;
  choke(input: { word: string }): Promise<string>;
}

export const confess = runbook<Card>('confess', async ({ word, fails = false }, run) => {
  const call: Call<string> = (act) => (act as unknown as Words)[fails ? 'choke' : 'repeat']({ word });
  await run.task(`Listen to ${word}`);
  return run.step(`Say ${word}`, call);
});

/** What the worker of these tests offers: the incident itself, and a runbook for it to start. */
import { condition } from '@temporalio/workflow';
import type { z } from 'zod';
import { runbook } from '../../../../src/workflows/kit';

export { guard } from '../../../../src/workflows/guard/guard';
export { respondToIncident } from '../../../../src/workflows/incidents/respond-to-incident/respond-to-incident';

interface Input {
  service: string;
  startedBy: string;
}

/** Mends the service, fails, or waits for its alert to be resolved, as the test says. */
export const mend = runbook<{ input: z.ZodType<Input, Input> }>('mend', async (_, run) => {
  const what = await run.step('Mend it', (act: unknown) => (act as { mendIt(): Promise<string> }).mendIt());
  if (what === 'break') run.needsHuman('the way back failed');
  if (what === 'wait') await condition(() => run.sender.resolvedAt !== undefined);
  return `mended: ${what}`;
});

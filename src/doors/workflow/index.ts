/** `durable-runbooks/workflow`: what procedures are written with. For the workflow sandbox. */
import type { z } from 'zod';
import type { Activities } from '../../activities';
import type { RunReport } from '../../contract/report';
import type { Call, StepOptions, Verdict } from '../../workflows/kit/run';
import { type Run as OwnRun } from '../../workflows/kit/run';
import { runbook as ownRunbook } from '../../workflows/kit/runbook';

export { bytes, countOf, duration, utc } from '../../contract/text';
export { targetOf, type Check, type Fence, type Place } from '../../contract/place';

type Run<A> = Omit<OwnRun, 'step' | 'verify'> & {
  step<T>(title: string, call: (act: A) => Promise<T>, options?: StepOptions<T>): Promise<T>;
  verify<T>(title: string, call: (act: A) => Promise<T>, holds: (result: T) => Verdict): Promise<T>;
};
export const runbook = ownRunbook as unknown as <C extends { input: z.ZodType }, A = Activities>(
  name: string,
  procedure: (input: z.output<C['input']>, run: Run<A>) => Promise<string>,
) => (input: z.input<C['input']>) => Promise<RunReport>;
export type { Call };

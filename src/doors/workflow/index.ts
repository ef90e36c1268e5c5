/** `durable-runbooks/workflow`: what procedures are written with. For the workflow sandbox. */
import type { z } from 'zod';
import type { Activities } from '../../activities';
import type { RunReport } from '../../contract/report';
import { runbook as untyped, type Run as OwnRun, type StepOptions, type Verdict } from '../../workflows/kit';

export * from '../../workflows/kit';
export { targetOf, type Check, type Fence, type Place } from '../../contract/place';
export { lower, type Mode, type Severity } from '../../contract/modes';

/** What a procedure works with; `A` are the activities that it may call. */
export type Run<A = Activities> = Omit<OwnRun, 'step' | 'verify' | 'soak'> & {
  step<T>(title: string, call: (act: A) => Promise<T>, options?: StepOptions<T>): Promise<T>;
  verify<T>(title: string, call: (act: A) => Promise<T>, holds: (result: T) => Verdict): Promise<T>;
  soak(
    title: string,
    call: (act: A) => Promise<Verdict>,
    times: { forMs: number; everyMs: number },
  ): Promise<void>;
};

/** Makes a workflow of a procedure that calls the activities `A`. `name` is that of its card and of its export. */
export const runbook = untyped as unknown as <C extends { input: z.ZodType }, A = Activities>(
  name: string,
  procedure: (input: z.output<C['input']>, run: Run<A>) => Promise<string>,
) => (input: z.input<C['input']>) => Promise<RunReport>;

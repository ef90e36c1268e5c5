/** Where one value comes from: Prometheus, an endpoint, a statement, or a command. */
import { z } from 'zod';
import { authenticationSchema, operationWith } from './http-operation-schema';
import { commandSchema, secretText } from './primitives';

export const prometheusServerSchema = z
  .strictObject({
    url: secretText.describe('base address, e.g. http://prometheus:9090'),
    auth: authenticationSchema.optional(),
    headers: z.record(z.string(), secretText).default({}),
    timeoutMs: z.number().positive().max(30_000).default(10_000),
  })
  .describe('a server with the HTTP API of Prometheus');

const overSchema = z
  .strictObject({
    minutes: z.number().positive().max(10_080),
    stepSeconds: z.number().positive().default(30),
    take: z.enum(['slope', 'mean', 'max', 'min', 'quantile']).describe('slope: how much it rises in an hour'),
    quantile: z.number().min(0).max(1).default(0.95),
  })
  .refine(({ minutes, stepSeconds }) => (minutes * 60) / stepSeconds <= 10_000, {
    path: ['stepSeconds'],
    message: 'a step that makes 10,000 points at most',
  })
  .refine(({ minutes, stepSeconds }) => (minutes * 60) / stepSeconds >= 2, {
    path: ['stepSeconds'],
    message: 'a step that makes two points at least',
  })
  .describe('a range query, of whose points one number is made');

const prometheusSchema = z
  .strictObject({
    query: z.string().min(1).describe('PromQL whose result is one series'),
    fresh: z
      .string()
      .optional()
      .describe(
        'a selector whose newest sample must be younger than maxAgeSeconds, where the query itself looks back, as rate() does',
      ),
    over: overSchema.optional(),
  })
  .describe('PromQL');

/** A source in whose request and command only the `declared` names are known. */
export function sourceShape(declared: readonly string[]) {
  return {
    prometheus: prometheusSchema.optional(),
    operation: operationWith(declared, {
      field: z.string().describe('dot path of the value'),
      at: z.string().optional().describe('dot path of the time that the value is of'),
    }).optional(),
    sql: z
      .string()
      .min(1)
      .optional()
      .describe('a SELECT of one row with one column; a second one, called "at", is the time that it is of'),
    command: commandSchema.optional().describe('prints the value on its last line'),
    maxAgeSeconds: z
      .number()
      .positive()
      .default(300)
      .describe('an older sample of Prometheus, or an older time, says nothing'),
  };
}

const KINDS = ['prometheus', 'operation', 'sql', 'command'] as const;

/** Exactly one of the kinds. */
export function checkSource(given: object, context: z.RefinementCtx): void {
  const named = KINDS.filter((kind) => (given as SourceConfig)[kind] !== undefined);
  if (named.length !== 1) context.addIssue({ code: 'custom', message: `one of ${KINDS.join(', ')}` });
}

export type SourceConfig = z.infer<z.ZodObject<ReturnType<typeof sourceShape>>>;
export type PrometheusServer = z.infer<typeof prometheusServerSchema>;
export type PrometheusQuery = z.infer<typeof prometheusSchema>;

/** Where the log lines of an environment are, and how many of which kind are too many. */
import { z } from 'zod';
import { patternProblem } from './pattern';
import { BANDS_IN_ORDER, commandSchema, secretText } from './primitives';
import { prometheusServerSchema } from './source-schema';

const count = (fallback: number) => z.number().int().min(0).default(fallback);

const watchSchema = z
  .strictObject({
    name: z.string().trim().min(1).max(60).describe('for people, e.g. booking transitions'),
    pattern: z
      .string()
      .min(1)
      .superRefine((pattern, context) => {
        const problem = patternProblem(pattern);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      })
      .describe('regular expression (RE2) that is looked for in the message, whatever its case'),
    warning: count(2).describe('more warnings and errors than these are yellow'),
    critical: count(50).describe('more than these are red'),
  })
  .refine(...BANDS_IN_ORDER);

const lokiSchema = z
  .strictObject({
    ...prometheusServerSchema.shape,
    query: z
      .string()
      .min(1)
      .describe(`LogQL whose result is log lines, e.g. {app="booking"} |~ "(?i)warn|error"`),
  })
  .describe('a server with the HTTP API of Loki, which is asked for what was logged');

const slug = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,99}$/, 'a slug or an ID of Sentry: lower-case letters, digits and dashes');

const sentrySchema = z
  .strictObject({
    ...prometheusServerSchema.shape,
    url: secretText
      .default('https://sentry.io')
      .describe('base address; of the region, or of your own server'),
    organization: slug.describe('slug of the organization'),
    project: slug.describe('slug or ID of the project'),
    environment: z.string().min(1).max(64).optional().describe('as events name it; default: every one'),
    query: z
      .string()
      .max(500)
      .default('is:unresolved')
      .describe('search of issues in the language of Sentry, e.g. is:unresolved release:2026.11'),
  })
  .describe('Sentry, which is asked for issues that had events; its token has to read issues and projects');

const SOURCES = ['command', 'loki', 'sentry'] as const;

export const logsSchema = z
  .strictObject({
    command: commandSchema
      .optional()
      .describe(
        'prints what was logged since RUNBOOKS_SINCE, an ISO time: one event a line, as JSON (level, message, stack) or as text with WARN or ERROR in it',
      ),
    loki: lokiSchema.optional(),
    sentry: sentrySchema.optional(),
    errors: z
      .strictObject({ warning: count(0), critical: count(50) })
      .refine(...BANDS_IN_ORDER)
      .prefault({})
      .describe('more errors than these are yellow, or red'),
    watch: z
      .array(watchSchema)
      .max(20)
      .default([])
      .describe('what is looked for in warnings too, e.g. booking transitions and payment webhooks'),
  })
  .refine((given) => SOURCES.filter((name) => given[name] !== undefined).length === 1, {
    message: `one of ${SOURCES.join(', ')}`,
  })
  .describe('the log of an environment');

export type LogsConfig = z.infer<typeof logsSchema>;
export type LokiConfig = z.infer<typeof lokiSchema>;
export type SentryConfig = z.infer<typeof sentrySchema>;

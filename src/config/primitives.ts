/** What the parts of the configuration's schema have in common. */
import { z } from 'zod';
import { MODES, SEVERITIES } from '../contract/modes';

/** Lower-case names that end up in workflow IDs, file names and database names. */
export const serviceName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,40}$/, 'a service name has lower-case letters, digits and dashes, e.g. "booking"')
  .refine((name) => name !== 'all', '"all" stands for every service: choose another name');

/** Names of alert sources, routes, schedules and channels. */
export const plainName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,60}$/, 'a name has lower-case letters, digits and dashes');

/** `${env:NAME}` and `${file:PATH}` are resolved where they are used, never in a workflow. */
export const secretText = z
  .string()
  .min(1)
  .describe('text; ${env:NAME} and ${file:PATH} are resolved on the worker');

export const modeSchema = z
  .enum(MODES)
  .describe('observe: report the plan and stop; propose: wait for an approval; auto: go on by itself');

export const severitySchema = z
  .enum(SEVERITIES)
  .describe('P0: everything is down, or data is at risk; P3: cosmetic');

export const commandSchema = z
  .strictObject({
    run: z.array(z.string().min(1)).min(1).describe('program and arguments; no shell'),
    directory: z.string().default('.').describe('working directory, relative to this file'),
    environment: z.record(z.string(), secretText).default({}),
    timeoutSeconds: z.number().positive().max(86_400).default(600),
  })
  .describe('a command that the worker runs');

/** For `refine`: otherwise something is red that keeps within what is wanted. */
export const BANDS_IN_ORDER = [
  ({ warning, critical }: { warning: number; critical: number }): boolean => warning <= critical,
  'bands in their order: critical is the highest, and it has a default',
] as const;

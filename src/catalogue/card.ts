import { z } from 'zod';
import { alertSchema } from './alert-schema';
import { modeSchema, serviceName, type ServiceConfig } from '../config/schema';
import type { Severity, Mode } from '../contract/modes';

export type Area =
  | 'database'
  | 'application'
  | 'bookings'
  | 'payments'
  | 'delivery'
  | 'incidents'
  | 'recovery'
  | 'maintenance'
  // Other people's; those above still complete in editors.
  | (string & {});

/** What people, the command, alert routes and the catalogue see of a runbook. Node side only: never imported as a value by a workflow. */
export interface Card<Input extends z.ZodObject = z.ZodObject> {
  /** Wire name of the workflow type. */
  name: string;
  title: string;
  area: Area;
  priority: Severity;
  /** Written runbooks that it stands for, by document and section. */
  from?: string[];
  symptoms: string[];
  impact: string;
  diagnosis: string[];
  resolution: string[];
  prevention: string[];
  escalation: string[];
  /** One line: what a run may change. */
  changes: string;
  input: Input;
  example: z.input<Input>;
  /** It leads others and waits for people, so it takes no place among the concurrent runs. */
  coordinates?: boolean;
  /** A mode that this runbook never exceeds on a service configured like that. */
  capMode?: (service: ServiceConfig) => { mode: Mode; modeReason: string } | undefined;
}

/** Fields that every runbook's input has. */
const commonInput = {
  service: serviceName.describe('name of the service in runbooks.yaml'),
  mode: modeSchema.optional().describe('the lower of this and what the configuration allows counts'),
  startedBy: z
    .string()
    .trim()
    .min(1)
    .max(100)
    .default('unknown')
    .describe('who starts it; four eyes need it'),
  reason: z.string().max(500).optional().describe('why, for the report'),
  alert: alertSchema.optional(),
};

/** Declares a card; the common input fields are added to `input`. */
export function card<Shape extends z.core.$ZodLooseShape>(
  definition: Omit<Card, 'input' | 'example'> & { input: Shape; example: Record<string, unknown> },
) {
  const input = z.strictObject({ ...commonInput, ...definition.input });
  return { ...definition, input, example: definition.example as z.input<typeof input> };
}

/** The parsed input of a card, as the workflow gets it. */
export type InputOf<C extends { input: z.ZodType }> = z.output<C['input']>;

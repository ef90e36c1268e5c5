import { z } from 'zod';
import type { Card } from './card';

/** A field of a runbook's input, as people see it. */
export interface Field {
  name: string;
  /** `text`, `number`, `whole number`, `yes or no`, `list of text`, `JSON`, or the choices. */
  type: string;
  kind: 'text' | 'number' | 'boolean' | 'list' | 'json';
  choices?: string[];
  required: boolean;
  defaultValue?: unknown;
  description: string;
}

interface Schema {
  type?: string;
  enum?: unknown[];
  items?: Schema;
  default?: unknown;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
}

/** The JSON Schema of what may be given to a runbook. */
export function inputSchema(card: Card): Schema {
  return z.toJSONSchema(card.input, { io: 'input' }) as Schema;
}

/** Only the intake fills it in. */
export const NOT_FOR_PEOPLE = ['alert'];

/** The input of a runbook, field by field, from its JSON Schema. */
export function fieldsOf(card: Card): Field[] {
  const { properties = {}, required = [] } = inputSchema(card);
  return Object.entries(properties)
    .filter(([name]) => !NOT_FOR_PEOPLE.includes(name))
    .map(([name, schema]) => ({
      name,
      ...kindOf(schema),
      required: required.includes(name),
      ...(schema.default === undefined ? {} : { defaultValue: schema.default }),
      description: schema.description ?? '',
    }));
}

function kindOf(schema: Schema): Pick<Field, 'type' | 'kind' | 'choices'> {
  if (schema.enum !== undefined) {
    const choices = schema.enum.map(String);
    return { type: choices.join(' | '), kind: 'text', choices };
  }
  switch (schema.type) {
    case 'string':
      return { type: 'text', kind: 'text' };
    case 'integer':
      return { type: 'whole number', kind: 'number' };
    case 'number':
      return { type: 'number', kind: 'number' };
    case 'boolean':
      return { type: 'yes or no', kind: 'boolean' };
    case 'array':
      return schema.items?.type === 'string'
        ? { type: 'list of text', kind: 'list' }
        : { type: 'JSON list', kind: 'json' };
    default:
      return { type: 'JSON', kind: 'json' };
  }
}

/** `startedBy` becomes `--started-by`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

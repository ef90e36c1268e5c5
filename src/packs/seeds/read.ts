import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { PACKAGE_ROOT } from '../../config/version';

const text = z.string().min(1);
const texts = z.union([text, z.array(text).min(1)]).transform((one) => [one].flat());
/** By the wire name of a runbook: what it says, as its code has it, with `…` for what is filled in or left out. */
const said = z.record(text, texts).optional();

const lineSchema = z
  .strictObject({
    step: text.describe('what the document says, in words of ours'),
    by: said.describe('steps, findings and actions of the plan that do it'),
    task: said.describe('what the run asks a person to do'),
    symptom: said.describe('symptoms of the card'),
    action: text.optional().describe('an action item that every post-mortem begins with'),
    person: text.optional().describe('what is left to a person, and no run asks for'),
    at: z.record(text, text).optional().describe('name of an example, to a path in its runbooks.yaml'),
    page: text.optional().describe('a page of the documentation, and its heading'),
  })
  .refine(({ step: _, ...answers }) => Object.keys(answers).length > 0, 'nobody does this step');

const seedSchema = z.strictObject({
  title: text,
  sections: z.record(text, z.array(lineSchema).min(1)),
});

export type SeedLine = z.infer<typeof lineSchema>;

/** A written runbook, and for each of its steps who does it. */
export interface Seed extends z.infer<typeof seedSchema> {
  /** By which cards name it, and the example that is made of it. */
  name: string;
}

const NAMES = ['appointments', 'booking', 'assistant', 'studio', 'travel'];

/** The written runbooks that ours are made from. Read from the sources: only the build and the tests need them. */
export function readSeeds(folder = join(PACKAGE_ROOT, 'src', 'packs', 'seeds')): Seed[] {
  return NAMES.map((name) => ({
    name,
    ...seedSchema.parse(parse(readFileSync(join(folder, `${name}.yaml`), 'utf8'))),
  }));
}

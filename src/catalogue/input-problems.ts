import type { z } from 'zod';
import { notOneOf, problemsOf, problemText } from '../config/problem-text';
import type { Config } from '../config/schema';
import type { Card } from './card';
import { NOT_FOR_PEOPLE } from './input-fields';

type Issue = z.core.$ZodIssue;

/**
 * What a run would refuse of its input, as sentences with the path: the runbook's own schema, and the names that the
 * configuration must have. Of the paths in `templated` only the type is known yet.
 */
export function inputProblems(
  card: Card,
  config: Config,
  input: Record<string, unknown>,
  templated: ReadonlySet<string> = new Set(),
): string[] {
  const counts = ({ code, path }: Issue): boolean => {
    if (code === 'invalid_type') return true;
    // A rule over several fields may depend on a templated one.
    return code === 'custom' ? templated.size === 0 : !templated.has(path.join('.'));
  };
  const parsed = card.input.safeParse(input);
  const problems = describeInput(card, (parsed.error?.issues ?? []).filter(counts), input);
  return [...problems, ...nameProblems(config, input, templated)];
}

function nameProblems(
  { services }: Config,
  { service, environment }: Record<string, unknown>,
  templated: ReadonlySet<string>,
): string[] {
  if (typeof service !== 'string' || templated.has('service')) return [];
  if (!Object.hasOwn(services, service)) return [`service: ${notOneOf(service, Object.keys(services))}`];
  if (typeof environment !== 'string' || templated.has('environment')) return [];
  const { environments } = services[service]!;
  if (Object.hasOwn(environments, environment)) return [];
  return [`environment: ${notOneOf(environment, Object.keys(environments))}`];
}

/** The sentences about an input that a runbook's schema refused: `mode: got "fast", wanted one of: observe, propose, auto`. */
export function describeInput(card: Card, issues: readonly Issue[], input: unknown): string[] {
  const problems = problemsOf(issues, {
    value: input,
    schema: card.input,
    owner: card.name,
    hidden: NOT_FOR_PEOPLE,
  });
  return problems.map((problem) => problemText(problem, 'input'));
}

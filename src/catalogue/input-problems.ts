import type { z } from 'zod';
import type { Config } from '../config/schema';
import type { Card } from './card';

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
  const problems = (parsed.error?.issues ?? []).filter(counts).map((issue) => describe(card, issue, input));
  return [...problems, ...nameProblems(config, input, templated)];
}

function nameProblems(
  { services }: Config,
  { service, environment }: Record<string, unknown>,
  templated: ReadonlySet<string>,
): string[] {
  if (typeof service !== 'string' || templated.has('service')) return [];
  if (!Object.hasOwn(services, service)) return [notOneOf('service', service, Object.keys(services))];
  if (typeof environment !== 'string' || templated.has('environment')) return [];
  const { environments } = services[service]!;
  if (Object.hasOwn(environments, environment)) return [];
  return [notOneOf('environment', environment, Object.keys(environments))];
}

function notOneOf(field: string, got: string, known: string[]): string {
  return `${field}: got ${JSON.stringify(got)}, wanted one of: ${known.join(', ') || 'none is configured'}`;
}

function describe(card: Card, issue: Issue, input: unknown): string {
  if (issue.code === 'unrecognized_keys') {
    const wanted = Object.keys(card.input.shape).join(', ');
    return `${issue.keys.join(', ')}: got a field that ${card.name} does not have, wanted one of: ${wanted}`;
  }
  const got = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  );
  const wanted = issue.message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '');
  const shown = got === undefined ? 'nothing' : (JSON.stringify(got) ?? 'nothing').slice(0, 100);
  return `${issue.path.join('.') || 'input'}: got ${shown}, wanted ${wanted}`;
}

import { suggestion } from '../config/problem-text';
import type { Config } from '../config/schema';
import { GUARD_ALL } from '../contract/guard';
import { targetOf } from '../contract/place';
import type { Temporal } from './connect';
import { CliError, EXIT } from './errors';
import { isEncrypted } from './explain-error';

const MAX_NAMED = 20;
/** Runbooks of somebody's may have leases of any name: parts that are not empty, and no spaces. */
const TARGET = /^[^\s/]+(\/[^\s/]+)*$/;

type Services = Pick<Config, 'services'>;

/** What can be paused: everything, a service, an environment of it. */
export function targetsOf({ services }: Services): string[] {
  return Object.entries(services).flatMap(([service, { environments }]) => [
    service,
    ...Object.keys(environments).map((environment) => targetOf({ service, environment })),
  ]);
}

/** `every target`, or the target with what lies below it: `booking (with booking/production and booking/staging)`. */
export function scopeText(target: string, config: Services | undefined): string {
  if (target === GUARD_ALL) return 'every target';
  const below = targetsOf(config ?? { services: {} }).filter((one) => one.startsWith(`${target}/`));
  if (below.length > 0) return `${target} (with ${below.join(' and ')})`;
  return target.includes('/') ? target : `${target} and what lies below it`;
}

/**
 * Refuses a target that nobody knows, with the nearest one. Without a configuration nothing can be refused; the answer
 * then says what could not be told. A target that has a guard is known, whatever the configuration says.
 * Throws CliError (not found).
 */
export async function checkTarget(
  { client }: Temporal,
  target: string,
  config: Services | undefined,
): Promise<string | undefined> {
  if (target === GUARD_ALL) return undefined;
  if (!TARGET.test(target))
    throw new CliError(
      EXIT.usage,
      `"${target}" is no target; nothing was done. Wanted a service, or one of its environments, e.g. booking/production.`,
    );
  const known = targetsOf(config ?? { services: {} });
  if (known.includes(target) || (await hasGuard(client, target))) return undefined;
  if (config === undefined)
    return `Whether there is a target "${target}" cannot be told without a configuration, and no run has asked for it yet. What stops everything: leave --target out.`;
  throw new CliError(EXIT.notFound, unknownTarget(target, config));
}

/** `There is no target "bookng". Known: ...; did you mean "booking"?` */
export function unknownTarget(target: string, config: Services): string {
  const known = [GUARD_ALL, ...targetsOf(config)];
  const more = known.length > MAX_NAMED ? ` and ${known.length - MAX_NAMED} more` : '';
  return `There is no target "${target}"; nothing was done. Known: ${known.slice(0, MAX_NAMED).join(', ')}${more}${suggestion(target, known)}`;
}

/** One runs, or has ended and still holds something back. */
async function hasGuard(client: Temporal['client'], target: string): Promise<boolean> {
  const { readGuardMemory } = await import('../activities/guard/reach-guard.js');
  const found = await readGuardMemory(client, target).catch((error: unknown) => {
    if (isEncrypted(error)) return 'unreadable' as const;
    throw error;
  });
  if (found === undefined) return false;
  // To stop must work without keys as well.
  if (found === 'unreadable') return true;
  const { paused = null, holder = null } = found.memory ?? {};
  return found.runs || paused !== null || holder !== null;
}

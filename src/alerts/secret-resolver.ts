import type { LoadedConfig } from '../config/load';
import { resolveSecrets } from '../config/secrets';

const SECRET_FOR_MS = 10_000;

/**
 * Resolves the secrets of all sources once, so that a missing one is said at the start; files may be replaced later.
 * Throws MissingSecret.
 */
export function secretResolver(config: LoadedConfig): (text: string) => string {
  const cache = new Map<string, { value: string; untilMs: number }>();
  const resolve = (text: string): string => {
    const found = cache.get(text);
    if (found !== undefined && Date.now() < found.untilMs) return found.value;
    const value = resolveSecrets(text, config.directory);
    cache.set(text, { value, untilMs: Date.now() + SECRET_FOR_MS });
    return value;
  };
  for (const { auth } of Object.values(config.alerts.sources)) {
    for (const text of Object.values(auth).flat()) if (typeof text === 'string') resolve(text);
  }
  return resolve;
}

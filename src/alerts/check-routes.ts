import type { Config } from '../config/schema';

/** Problems of the alert routes that only the runbooks' own schemas show. */
export function checkRoutes(_config: Config): string[] {
  return [];
}

import { createSecretActivities } from './security/secrets';
import type { ActivityDeps } from './support/deps';

/** Secrets of an application. */
export function createSecurityActivities(deps: ActivityDeps) {
  return { ...createSecretActivities(deps) };
}

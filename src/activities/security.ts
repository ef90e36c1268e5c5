import { createContainmentActivities } from './security/containment';
import { createSecretActivities } from './security/secrets';
import type { ActivityDeps } from './support/deps';

/** Secrets of an application, and what shuts out whoever got into it. */
export function createSecurityActivities(deps: ActivityDeps) {
  return { ...createSecretActivities(deps), ...createContainmentActivities(deps) };
}

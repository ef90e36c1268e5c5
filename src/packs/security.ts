import type * as Made from '../activities/security';
import { securitySettings } from '../activities/security/settings';
import { definePack } from '../doors/pack';
import { containSecurityIncidentCard } from '../workflows/security/contain-security-incident/card';
import { rotateSecretsCard } from '../workflows/security/rotate-secrets/card';

/** Secrets, and what becomes of an application that somebody has got into. */
export const securityPack = definePack({
  name: 'security',
  cards: [rotateSecretsCard, containSecurityIncidentCard],
  workflows: require.resolve('../workflows/security'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createSecurityActivities } = require('../activities/security') as typeof Made;
    return createSecurityActivities(deps);
  },
  settings: securitySettings,
});

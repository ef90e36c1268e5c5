import type { WithCatalogue } from '../catalogue/catalogue';
import { createGuardActivities } from './guard/guard-activities';
import { createHostActivities } from './hosts/host-activities';
import { createAnnounceActivities } from './notifications/announce';
import { createPrepareActivities } from './policy/prepare';
import type { ActivityDeps } from './support/deps';

/** What every run needs, whatever it operates. */
export function createPlatformActivities(deps: ActivityDeps & WithCatalogue) {
  return {
    ...createPrepareActivities(deps),
    ...createGuardActivities(deps),
    ...createHostActivities(deps),
    ...createAnnounceActivities(deps),
  };
}

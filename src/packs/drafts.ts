import type * as Made from '../activities/drafts';
import { draftsSettings } from '../activities/drafts/settings';
import { definePack } from '../doors/pack';
import { recoverAutosaveCard } from '../workflows/drafts/recover-autosave/card';

/** What people write, and how it is saved. */
export const draftsPack = definePack({
  name: 'drafts',
  cards: [recoverAutosaveCard],
  workflows: require.resolve('../workflows/drafts'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createDraftActivities } = require('../activities/drafts') as typeof Made;
    return createDraftActivities(deps);
  },
  settings: draftsSettings,
});

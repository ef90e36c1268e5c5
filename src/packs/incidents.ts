import type * as Made from '../activities/incidents/incident-activities';
import { checkIncidents } from '../activities/incidents/check-settings';
import { incidentSettings } from '../activities/incidents/settings';
import { definePack } from '../doors/pack';
import { respondToIncidentCard } from '../workflows/incidents/respond-to-incident/card';

/** Leading an incident, from the first page to the last action item. */
export const incidentsPack = definePack({
  name: 'incidents',
  cards: [respondToIncidentCard],
  workflows: require.resolve('../workflows/incidents'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const made = require('../activities/incidents/incident-activities') as typeof Made;
    return made.createIncidentActivities(deps);
  },
  settings: incidentSettings,
  check: checkIncidents,
});

import { checkIncidents } from '../activities/incidents/check-settings';
import { createIncidentActivities } from '../activities/incidents/incident-activities';
import { incidentSettings } from '../activities/incidents/settings';
import { definePack } from '../doors/pack';
import { respondToIncidentCard } from '../workflows/incidents/respond-to-incident/card';

/** Leading an incident, from the first page to the last action item. */
export const incidentsPack = definePack({
  name: 'incidents',
  cards: [respondToIncidentCard],
  workflows: require.resolve('../workflows/incidents'),
  activities: createIncidentActivities,
  settings: incidentSettings,
  check: checkIncidents,
});

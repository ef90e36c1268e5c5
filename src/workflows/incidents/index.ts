export { respondToIncident } from './respond-to-incident/respond-to-incident';

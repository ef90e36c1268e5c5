export { containSecurityIncident } from './contain-security-incident/contain-security-incident';
export { rotateSecrets } from './rotate-secrets/rotate-secrets';

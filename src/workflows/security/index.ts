export { rotateSecrets } from './rotate-secrets/rotate-secrets';

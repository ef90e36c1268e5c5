export { auditProviderGate } from './audit-provider-gate/audit-provider-gate';

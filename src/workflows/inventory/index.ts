export { auditInventory } from './audit-inventory/audit-inventory';

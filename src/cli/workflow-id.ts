import { randomBytes } from 'node:crypto';

/** `<runbook>/<service>/<yyyymmdd-hhmmss>-<4 random>` in UTC: sorts by time and says what it is. */
export function newWorkflowId(runbook: string, service: string, now = new Date()): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${runbook}/${service}/${stamp}-${randomBytes(2).toString('hex')}`;
}

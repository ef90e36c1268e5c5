import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { Alert } from '../../src/contract/alert';

/** An alert of this moment, as the intake gives it to the run that it starts. */
export const firing = (over: Partial<Alert> = {}): Alert => ({
  source: 'prometheus',
  fingerprint: randomUUID(),
  startsAt: new Date().toISOString(),
  status: 'firing',
  severity: 'critical',
  title: 'Something is wrong',
  labels: {},
  annotations: {},
  link: null,
  ...over,
});

/** Tells the run that its alert is over. */
export const resolved = (handle: WorkflowHandle) =>
  handle.signal('alert', { status: 'resolved', count: 1, at: new Date().toISOString() });

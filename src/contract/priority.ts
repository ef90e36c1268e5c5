import type { Priority } from '@temporalio/common';
import { SEVERITIES, type Severity } from './modes';

/** Before a run comes only what runs wait for; those of the worst severity come first. */
const FIRST = 2;
/** The server knows five. */
const LAST = 5;
/** Temporal refuses a longer one. */
const MAX_KEY = 64;

/** How urgent a run is among all, and whose share it uses: a storm of one service does not hold up the others. */
export function priorityOf(
  { service, priority = 'P2' }: { service: string; priority?: Severity | undefined } | undefined = {
    service: '',
  },
): Priority {
  const priorityKey = Math.min(LAST, FIRST + SEVERITIES.indexOf(priority));
  return { priorityKey, ...(service === '' ? {} : { fairnessKey: service.slice(0, MAX_KEY) }) };
}

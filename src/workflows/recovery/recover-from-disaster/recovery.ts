import type { Alert } from '../../../contract/alert';
import type { Place } from '../../../contract/place';
import type { ChildRun, Run } from '../../kit';

/** What came of the parts so far, in words. */
export interface Recovery {
  run: Run;
  place: Place;
  startedBy: string;
  alert: Alert | undefined;
  /** When the outage began, as far as anybody knows. */
  beganAtMs: number;
  /** Customers notice it. */
  isDown: boolean;
  done: string[];
  /** Not recovered. */
  open: string[];
  /** To be known, and nothing that the run was to recover. */
  remarks: string[];
  /** Somebody has said no to something, or nobody has said yes in time. */
  refused: boolean;
}

/**
 * A part by its own runbook, with its own plan and approval. This run holds no lease meanwhile: the child takes that of its
 * target, and would wait for ever for one that its parent keeps.
 */
export async function recoverBy(
  { run, place, startedBy, alert }: Recovery,
  { title, why }: { title: string; why: string },
  runbook: string,
  input: Record<string, unknown>,
): Promise<ChildRun> {
  return run.child(title, runbook, {
    service: place.service,
    mode: run.policy.mode,
    startedBy,
    reason: `part of ${run.id}: ${why}`.slice(0, 500),
    ...(alert === undefined ? {} : { alert }),
    ...input,
  });
}

/** Whether it succeeded; what did not is remembered with the words of the child. */
export function settlePart(recovery: Recovery, part: string, child: ChildRun): boolean {
  const { outcome, instead, summary, workflowId } = child;
  if (outcome === 'SUCCEEDED') return true;
  const asked = instead ?? outcome;
  if (asked === 'REJECTED' || asked === 'CANCELLED') recovery.refused = true;
  // A run that failed says its outcome first.
  const said = summary.startsWith(outcome) ? summary : `${outcome}: ${summary}`;
  recovery.open.push(`${part}: ${workflowId} ended as ${said.replace(/\.$/, '')}`);
  return false;
}

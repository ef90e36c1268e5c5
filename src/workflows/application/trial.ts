import type { Alert } from '../../contract/alert';
import type { Fence, Place } from '../../contract/place';
import type { PlanDraft, Run } from '../kit';

/** What every remedy for a troubled application works with. */
export interface Trial {
  run: Run;
  place: Place;
  /** The probable cause, and what speaks for it. */
  finding: { cause: string; evidence: string };
  startedBy: string;
  alert: Alert | undefined;
  /** A person chose this remedy, and that is as good as an approval here. */
  decided: boolean;
}

/** Where anyone may approve, who chooses has approved. Where not everyone may, the gate still asks those who may. */
export function mayDecide({ policy }: Run): boolean {
  return !policy.fourEyes && policy.approvers.length === 0;
}

/** The plan is made again after an approval: `stopIfOver` ends the run where nothing needs a remedy any more. */
export async function gateUnlessOver(
  { run, decided }: Pick<Trial, 'run' | 'decided'>,
  draft: PlanDraft,
  stopIfOver: () => Promise<unknown>,
): Promise<void> {
  if (decided) return void (await run.plan(draft));
  let first = true;
  await run.gate(async () => {
    if (!first) await stopIfOver();
    first = false;
    return draft;
  });
}

/** Whether `body` held. Where it failed, what it did is undone, and the timeline says that the remedy did not help. */
export async function attempt({ run }: Trial, label: string, body: () => Promise<void>): Promise<boolean> {
  const { ok, why } = await run.attempt(body);
  if (!ok) run.note(`Did not help: ${label}`, why);
  return ok;
}

/**
 * Another runbook has its own plan and its own gate: approved there, so that nobody is asked twice for one thing. `plan` is
 * that of this run, given what it says of the child. Returns whether the child succeeded.
 */
export async function handOver(
  { run, place, finding, startedBy, alert }: Trial,
  { label, plan }: { label: string; plan: (detail: string) => PlanDraft },
  runbook: string,
  input: Record<string, unknown>,
): Promise<boolean> {
  const { mode } = run.policy;
  const where = mode === 'propose' ? ', which asks for its approval in its own run' : '';
  await run.plan(plan(`by ${runbook}${where}`));
  await run.announce(`${place.service}: ${finding.cause} (${finding.evidence}). ${runbook} starts${where}.`);
  const { outcome, instead, summary, workflowId } = await run.child(label, runbook, {
    service: place.service,
    mode,
    startedBy,
    reason: `${finding.cause}: ${finding.evidence}`.slice(0, 500),
    ...(alert === undefined ? {} : { alert }),
    ...input,
  });
  const asked = instead ?? outcome;
  if (asked === 'REJECTED' || asked === 'CANCELLED') return run.reject(`${workflowId}: ${summary}`);
  if (outcome === 'NEEDS_HUMAN') return run.needsHuman(`${workflowId} needs a person: ${summary}`);
  return outcome === 'SUCCEEDED';
}

/** A restart that did not help cannot be taken back; it did no more than to restart. */
export async function restart({ run, place }: Pick<Trial, 'run' | 'place'>, fence: Fence): Promise<void> {
  await run.step('Restart the application', (act) => act.restartApplication({ ...place, fence }), {
    kind: 'mutate',
    undo: { irreversible: 'the application was restarted', unless: ({ ran }) => !ran },
    describe: ({ detail }) => detail,
  });
}

/** What came of remedies that were not the end of it, by their labels: what helped a little is no failure, and is still there. */
export function effectTexts(failed: string[], stays: string[]): string[] {
  return [
    ...(failed.length === 0 ? [] : [`tried without success: ${failed.join(', ')}`]),
    ...(stays.length === 0 ? [] : [`helped, but not enough, and stays: ${stays.join(', ')}`]),
  ];
}

import type { WayBack } from '../../kit';
import { change, draftOf, verified, type Case, type Effect } from './case';
import { labelOf } from './findings';
import { raiseLimits } from './limits';
import { leaveToPeople } from './people';
import type { Fence } from '../../../contract/place';

/** Tries one remedy. */
export async function tryRemedy(one: Case): Promise<Effect> {
  const { remedy } = one.finding;
  switch (remedy.kind) {
    case 'rollBack':
      return runChild(one, 'rollBackDeployment', { from: remedy.from.id, deployment: remedy.to.id });
    case 'relievePool':
      return runChild(one, 'relieveConnectionPool', { environment: one.place.environment });
    case 'restart':
      return change(one, (fence) => restart(one, fence));
    case 'switchOff':
      return switchOff(one, remedy.feature);
    case 'raiseLimits':
      return raiseLimits(one, remedy.forMs);
    case 'contact':
    case 'byHand':
      return leaveToPeople(one, remedy);
  }
}

/** Another runbook has its own plan and its own gate: approved there, so that nobody is asked twice for one thing. */
async function runChild(one: Case, runbook: string, input: Record<string, unknown>): Promise<Effect> {
  const { run, place, finding, startedBy, alert } = one;
  const { mode } = run.policy;
  const where = mode === 'propose' ? ', which asks for its approval in its own run' : '';
  await run.plan(draftOf(one, `by ${runbook}${where}`));
  await run.announce(`${place.service}: ${finding.cause} (${finding.evidence}). ${runbook} starts${where}.`);
  const { outcome, instead, summary, workflowId } = await run.child(labelOf(finding.remedy), runbook, {
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
  if (outcome !== 'SUCCEEDED') return 'failed';
  // A rollback has waited for the errors to go, and watched; of the others each has verified only what it changed.
  if (runbook === 'rollBackDeployment') return 'helped';
  return verified(one);
}

async function restart({ run, place }: Case, fence: Fence): Promise<void> {
  await run.step('Restart the application', (act) => act.restartApplication({ ...place, fence }), {
    kind: 'mutate',
    undo: { irreversible: 'the application was restarted', unless: ({ ran }) => !ran },
    describe: ({ detail }) => detail,
  });
}

async function switchOff(one: Case, feature: string): Promise<Effect> {
  const { run, place } = one;
  const title = (position: 'off' | 'on') => `Switch ${position} ${feature}`;
  const to = (position: 'off' | 'on', fence: Fence, undo: WayBack): Promise<unknown> =>
    run.step(title(position), (act) => act.switchFeature({ ...place, feature, to: position, fence }), {
      kind: 'mutate',
      undo,
      describe: ({ detail }) => detail,
    });
  const effect = await change(one, (fence) =>
    to('off', fence, { title: title('on'), back: () => to('on', fence, { takesBack: title('off') }) }),
  );
  if (effect !== 'failed')
    await run.announce(`${place.service}: ${feature} stays switched off. Switch it on when it is mended.`);
  return effect;
}

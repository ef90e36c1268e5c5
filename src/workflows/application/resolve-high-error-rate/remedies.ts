import type { WayBack } from '../../kit';
import { change, draftOf, verified, type Case, type Effect } from './case';
import { labelOf } from './findings';
import { raiseLimits } from './limits';
import { leaveToPeople } from './people';
import { handOver, restart } from '../trial';
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

async function runChild(one: Case, runbook: string, input: Record<string, unknown>): Promise<Effect> {
  const said = { label: labelOf(one.finding.remedy), plan: (detail: string) => draftOf(one, detail) };
  if (!(await handOver(one, said, runbook, input))) return 'failed';
  // A rollback has waited for the errors to go, and watched; of the others each has verified only what it changed.
  return runbook === 'rollBackDeployment' ? 'helped' : verified(one);
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

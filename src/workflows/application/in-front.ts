import type { Deployment } from '../../activities/deployments/deployment-list';
import type { Fence, Place } from '../../contract/place';
import type { Run, WayBack } from '../kit';
import { currentOf } from './choose-deployment';
import { describeDeployment, nameOf } from './name-deployment';

export function describeCurrent(deployments: Deployment[]): string {
  const current = currentOf(deployments);
  return current === undefined ? 'none' : describeDeployment(current);
}

export function frontTitle(deployment: Deployment): string {
  return `Put ${nameOf(deployment)} in front`;
}

/** Puts a deployment in front of `from`; it is looked again right before whether that one still is. */
export async function putInFront(
  run: Run,
  { service }: Place,
  change: { title: string; target: Deployment; from: string | null; fence: Fence },
  undo: WayBack,
): Promise<void> {
  const { title, target, from, fence } = change;
  await run.step(title, (act) => act.promoteDeployment({ service, deployment: target.id, from, fence }), {
    kind: 'mutate',
    undo,
    describe: ({ detail }) => detail,
  });
}

export async function verifyInFront(run: Run, { service }: Place, id: string): Promise<void> {
  await run.verify(
    `${id} is in front`,
    (act) => act.listDeployments({ service }),
    (all) => ({ ok: currentOf(all)?.id === id, detail: `in front: ${describeCurrent(all)}` }),
  );
}

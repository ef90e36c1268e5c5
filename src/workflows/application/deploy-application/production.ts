import type { Symptoms } from '../../../activities/application/symptoms';
import type { Deployment } from '../../../activities/deployments/deployment-list';
import { targetOf, type Fence } from '../../../contract/place';
import { isOf } from '../../../contract/release';
import { verifySmoke } from '../../database/checks';
import type { Run, Undo } from '../../kit';
import { currentOf } from '../choose-deployment';
import { describeCurrent, frontTitle, putInFront, verifyInFront } from '../in-front';
import { describeDeployment, nameOf } from '../name-deployment';
import { verifyServing } from '../serving';
import { lookInFront, refusal, type Situation, type Wanted } from './situation';

/** The new one beside the old one, tried, in front, and watched. What does not hold puts the old one in front again. */
export async function deployToProduction(
  run: Run,
  wanted: Wanted,
  found: Situation,
  fence: Fence,
): Promise<{ deployment: Deployment; after: Symptoms }> {
  const { place, release } = wanted;
  const { current } = found;
  const beside = await besideNow(run, wanted, found);
  const undo = wayBack(run, wanted, { current, beside }, fence);
  const { deployment } = await run.step(
    besideTitle(wanted, current),
    (act) => act.deployBeside({ service: place.service, release, from: current.id, fence }),
    {
      kind: 'mutate',
      undo,
      describe: ({ deployment: made, alreadyThere }) =>
        `${describeDeployment(made)}${alreadyThere ? ' was there already' : ''}`,
    },
  );
  await run.verify(
    `${release.version} has no traffic yet`,
    (act) => act.listDeployments({ service: place.service }),
    (all) => ({ ok: currentOf(all)?.id === current.id, detail: `in front: ${describeCurrent(all)}` }),
  );
  await tryBeside(run, wanted, current, deployment);
  await putInFront(
    run,
    place,
    { title: frontTitle(deployment), target: deployment, from: current.id, fence },
    { coveredBy: undo.title },
  );
  await verifyInFront(run, place, deployment.id);
  await verifySmoke(run, place);
  const after = await verifyServing(run, place);
  await verifySmoke(run, place);
  return { deployment, after };
}

/** What is there before this run makes anything. Another run may have had the lease meanwhile. */
async function besideNow(run: Run, wanted: Wanted, { current }: Situation): Promise<Deployment | undefined> {
  const now = await lookInFront(run, wanted);
  if (now.current.id === current.id) return now.beside;
  throw refusal(
    'DeploymentChanged',
    `${describeDeployment(now.current)} is in front of ${wanted.place.service} now and not ${describeDeployment(current)}: somebody else deployed meanwhile. Nothing was changed in production; look at that deployment first`,
  );
}

function besideTitle({ release }: Wanted, current: Deployment): string {
  return `Deploy ${release.version} beside ${nameOf(current)}`;
}

/** Where customers cannot see it yet. The plan has warned where the list says no addresses at all. */
async function tryBeside(
  run: Run,
  { place, release }: Wanted,
  current: Deployment,
  made: Deployment,
): Promise<void> {
  const { url } = made;
  const title = `Smoke test of ${release.version} before it is in front`;
  if (url === undefined && current.url === undefined)
    return run.note(title, 'not run: the list of deployments prints no "url"');
  if (url === undefined)
    throw refusal(
      'InvalidInput',
      `${title}: the list of deployments prints no "url" for ${made.id}, so it cannot be tried. Correct deployments.list`,
    );
  await run.verify(
    title,
    (act) => act.runServiceCommand({ ...place, command: 'smoke', url }),
    ({ ran, detail }) => ({ ok: true, detail: ran ? `at ${url}: ${detail}` : 'not run: none is configured' }),
  );
}

/** The one before in front again where it no longer is, verified as after a rollback; and the new one away. */
function wayBack(
  run: Run,
  wanted: Wanted,
  { current, beside }: { current: Deployment; beside: Deployment | undefined },
  fence: Fence,
): Undo {
  const { place, release, settings } = wanted;
  const { service } = place;
  const title = `Put ${nameOf(current)} in front again`;
  const back = async () => {
    const all = await run.step('What is in front now?', (act) => act.listDeployments({ service }), {
      describe: describeCurrent,
    });
    const front = currentOf(all);
    if (front?.id === current.id)
      run.note(`${nameOf(current)} is in front`, 'there is no traffic to move back');
    else if (front !== undefined && !isOf(front, release))
      run.note(
        'Left alone',
        `${describeDeployment(front)} is in front of ${targetOf(place)}, which this run did not put there`,
      );
    else {
      const takesBack = frontTitle(front ?? { ...current, ...release });
      const change = { title, target: current, from: front?.id ?? null, fence };
      await putInFront(run, place, change, { takesBack });
      await verifyInFront(run, place, current.id);
      await verifyServing(run, place);
    }
    const made = all.find((one) => isOf(one, release) && one.state !== 'failed');
    if (made === undefined) return;
    if (made.state === 'building')
      return run.note(
        `${release.version} is still being built`,
        `${describeDeployment(made)}: nothing ends that; without traffic, also when it is ready`,
        { failed: true },
      );
    if (!settings.retires || beside !== undefined)
      return run.note(`${release.version} stays beside`, `${describeDeployment(made)}, without traffic`);
    await run.step(
      `Take ${release.version} away`,
      (act) => act.retireDeployment({ service, deployment: made.id, fence }),
      {
        kind: 'mutate',
        undo: { takesBack: besideTitle(wanted, current) },
        describe: ({ detail }) => detail,
      },
    );
  };
  return { title, back };
}

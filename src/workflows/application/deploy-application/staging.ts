import { targetOf } from '../../../contract/place';
import { verifyHealth, verifySmoke } from '../../database/checks';
import type { Run } from '../../kit';
import { describeDeployment } from '../name-deployment';
import { applicationIn } from '../serving';
import type { Wanted } from './situation';

/** What fails here never comes near production. Staging keeps it: there people look why. */
export async function tryOnStaging(run: Run, { staging, release, place }: Wanted): Promise<void> {
  if (staging === undefined) return;
  await run.exclusively(applicationIn(staging), async (fence) => {
    await run.step(
      `Deploy ${release.version} to ${targetOf(staging)}`,
      (act) => act.deployToStaging({ service: place.service, release, fence }),
      {
        kind: 'mutate',
        undo: { irreversible: `${targetOf(staging)} runs ${release.version}` },
        describe: ({ deployment, alreadyThere }) =>
          `${describeDeployment(deployment)}${alreadyThere ? ' was there already' : ''}`,
      },
    );
    await verifyHealth(run, staging);
    await verifySmoke(run, staging);
  });
}

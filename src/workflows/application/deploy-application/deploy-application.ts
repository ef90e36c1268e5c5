import type { Place } from '../../../contract/place';
import { type Run, runbook, utc } from '../../kit';
import { describeDeployment, nameOf } from '../name-deployment';
import { applicationIn, rateFact } from '../serving';
import type { deployApplicationCard } from './card';
import { planFor } from './plan';
import { deployToProduction } from './production';
import { look, type Situation, type Wanted } from './situation';
import { tryOnStaging } from './staging';

/** Brings a version out: staging, approval, beside the one in front, in front, watched; the one before again on failure. */
export const deployApplication = runbook<typeof deployApplicationCard>(
  'deployApplication',
  async ({ service, version, commit }, run) => {
    const wanted = await readWanted(run, { service, environment: 'production' }, { version, commit });
    const { place, release } = wanted;
    let found = await look(run, wanted);
    await run.plan(planFor(wanted, found, true));
    await tryOnStaging(run, wanted);
    let fresh = wanted.staging === undefined;
    await run.gate(async () => {
      if (!fresh) found = await look(run, wanted);
      fresh = false;
      return planFor(wanted, found, false);
    });

    const { current, symptoms } = found;
    run.fact('deployedFrom', describeDeployment(current));
    rateFact(run, 'errorRateBeforePercent', symptoms);
    await announceWindow(run, wanted, found);
    const { deployment, after } = await run.exclusively(applicationIn(place), (fence) =>
      deployToProduction(run, wanted, found, fence),
    );
    run.fact('deployed', describeDeployment(deployment));
    rateFact(run, 'errorRateAfterPercent', after);
    await run.announce(`${service} runs on ${release.version}; ${after.detail}.`);
    return `${release.version} is in front instead of ${nameOf(current)}, which stays beside as the way back; ${after.detail}`;
  },
);

async function readWanted(run: Run, place: Place, release: Wanted['release']): Promise<Wanted> {
  const { service } = place;
  const settings = await run.step('How is it deployed?', (act) => act.readReleaseSettings({ service }), {
    describe: ({ staging, retires }) =>
      `${staging === null ? 'without staging' : `first to ${staging}`}; one that fails is ${retires ? 'taken away' : 'left beside'}`,
  });
  const staging = settings.staging === null ? {} : { staging: { service, environment: settings.staging } };
  return { place, release, settings, ...staging };
}

async function announceWindow(
  run: Run,
  { place, release, settings }: Wanted,
  { current }: Situation,
): Promise<void> {
  const until = utc(new Date(Date.now() + settings.windowMs).toISOString());
  await run.announce(
    `${place.service} gets ${release.version} instead of ${nameOf(current)}, by ${until} UTC as planned. Way back: ${describeDeployment(current)} stays beside, and is put in front again where the new one does not hold.`,
  );
}

import type { Symptoms } from '../../../activities/application/symptoms';
import type { Measured } from '../../../activities/observe/measure';
import type { InputOf } from '../../../catalogue/card';
import { type PlanDraft, type Run, runbook, type Undo } from '../../kit';
import { chooseDeployment, currentOf, type Candidates } from '../choose-deployment';
import { describeCurrent, frontTitle, putInFront, verifyInFront } from '../in-front';
import type { rollBackDeploymentCard } from './card';
import { describeDeployment, nameOf } from '../name-deployment';
import { applicationIn, isBetter, rateFact, verifyServing } from '../serving';
import type { Fence, Place } from '../../../contract/place';

interface Situation extends Candidates {
  symptoms: Symptoms;
  /** What it is about, where that is neither errors nor health. */
  measured: Measured[];
}

type Input = InputOf<typeof rollBackDeploymentCard>;

/** Puts the previous good deployment in front again, and the former one back where that did not help. */
export const rollBackDeployment = runbook<typeof rollBackDeploymentCard>(
  'rollBackDeployment',
  async (input, run) => {
    const place = { service: input.service, environment: 'production' };
    let found = await look(run, place, input);
    let fresh = true;
    await run.gate(async () => {
      if (!fresh) found = await look(run, place, input);
      fresh = false;
      return planFor(run, place, input, found);
    });

    const { current, target, symptoms } = found;
    run.fact('rolledBackFrom', describeDeployment(current));
    run.fact('rolledBackTo', describeDeployment(target));
    rateFact(run, 'errorRateBeforePercent', symptoms);
    await run.announce(
      `${input.service} goes back from ${nameOf(current)} to ${describeDeployment(target)}.`,
    );
    const after = await run.exclusively(applicationIn(place), async (fence) => {
      await putInFront(
        run,
        place,
        { title: frontTitle(target), target, from: current.id, fence },
        wayForward(run, place, found, fence),
      );
      await verifyInFront(run, place, target.id);
      return verifyServing(run, place);
    });
    rateFact(run, 'errorRateAfterPercent', after);
    await run.announce(`${input.service} runs on ${nameOf(target)} again; ${after.detail}.`);
    return `${nameOf(target)} is in front again instead of ${nameOf(current)}; ${after.detail}`;
  },
);

async function look(
  run: Run,
  place: Place,
  { deployment: wanted, measures: names }: Input,
): Promise<Situation> {
  const deployments = await run.step(
    'List the deployments',
    (act) => act.listDeployments({ service: place.service }),
    { describe: (all) => `${all.length}, in front: ${describeCurrent(all)}` },
  );
  const choice = chooseDeployment(deployments, wanted);
  const symptoms = await run.step('Health and error rate', (act) => act.readSymptoms(place), {
    describe: ({ detail }) => detail,
  });
  if (names === undefined) return { ...choice, symptoms, measured: [] };
  const measured = await run.step('Measure', (act) => act.measure({ ...place, names }), {
    describe: (all) => all.map(({ detail }) => detail).join('; '),
  });
  return { ...choice, symptoms, measured };
}

/** What is not known is not gone. */
function isGone({ symptoms, measured }: Situation): boolean {
  const lasts = ({ ok, band, unknown }: Measured) => !ok && band !== 'info' && unknown !== 'not-configured';
  return symptoms.ok && !measured.some(lasts);
}

/** A person may have reasons that nothing measures; an alert, or another run, wants it only while the symptom lasts. */
function planFor(run: Run, place: Place, input: Input, found: Situation): PlanDraft {
  const { current, target, symptoms } = found;
  const measured = symptoms.rate !== null || symptoms.checks > 0;
  const forSymptom = input.alert !== undefined || input.from !== undefined;
  if (input.from !== undefined && current.id !== input.from)
    return run.nothingToDo(`${describeDeployment(current)} is in front now, and no longer ${input.from}`);
  if (current.id === target.id) return run.nothingToDo(`${describeDeployment(target)} is in front already`);
  if (forSymptom && measured && isGone(found))
    return run.nothingToDo(`the symptom is gone: ${symptoms.detail}`);
  const warnings = ['only the code goes back: what migrations changed since then must fit it'];
  if (!measured)
    warnings.push('no health check and no error rate is configured: nothing will tell whether it helped');
  if (target.rolledBackAt !== undefined) warnings.push(`${nameOf(target)} was itself rolled back before`);
  return {
    actions: [
      {
        action: `put ${describeDeployment(target)} in front`,
        target: applicationIn(place),
        detail: `instead of ${describeDeployment(current)}`,
      },
    ],
    warnings,
    facts: { from: current.id, to: target.id },
  };
}

/**
 * A rollback that did not help is taken back: the deployment was not the cause, and an old version in front would
 * surprise whoever looks next. One that did help, but not enough, stays: the errors would come back. A person decides.
 */
function wayForward(run: Run, place: Place, { current, target, symptoms }: Situation, fence: Fence): Undo {
  const { service } = place;
  const title = `Put ${nameOf(current)} in front again`;
  const back = async () => {
    const all = await run.step('What is in front now?', (act) => act.listDeployments({ service }), {
      describe: describeCurrent,
    });
    if (currentOf(all)?.id !== target.id)
      return run.note('Nothing to take back', `in front: ${describeCurrent(all)}`);
    const now = await run.step('Did it help?', (act) => act.readSymptoms(place), {
      describe: ({ detail }) => detail,
    });
    if (isBetter(symptoms, now)) {
      return run.needsHuman(
        `${nameOf(target)} stays in front of ${service}: it helped, but not enough (before: ${symptoms.detail}; now: ${now.detail})`,
      );
    }
    await putInFront(
      run,
      place,
      { title, target: current, from: target.id, fence },
      {
        takesBack: frontTitle(target),
      },
    );
    return verifyInFront(run, place, current.id);
  };
  return { title, back };
}

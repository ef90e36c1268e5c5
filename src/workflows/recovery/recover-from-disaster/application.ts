import { overCheck, verifyServing } from '../../application/serving';
import { currentOf, earlierThan } from '../../application/choose-deployment';
import { describeDeployment } from '../../application/name-deployment';
import { targetOf } from '../../../contract/place';
import { deploymentsText, isMeasured, readVariables, variablesText, type Situation } from './assess';
import { recoverBy, settlePart, type Recovery } from './recovery';

const PART = 'the application';
const ASK_AGAIN_MS = 30_000;
/** The only environment whose deployments anybody lists. */
const DEPLOYED = 'production';

/** What a new host most easily lacks; a value is for whoever has it. */
export async function recoverVariables(
  { run, place, done, remarks }: Recovery,
  found: Situation,
): Promise<void> {
  const { variables } = found;
  if (variables.found === undefined) {
    remarks.push(`the environment variables could not be read: ${variables.why}`);
    return;
  }
  const { configured, missing } = variables.found;
  if (!configured) remarks.push(`the environment variables were not looked at`);
  if (missing.length === 0) return;
  await run.task(
    `The application of ${targetOf(place)} lacks environment variables: ${missing.join(', ')}. Set them where its platform keeps them, and start it anew. This run goes on when they are set.`,
    {
      title: 'Are they set?',
      everyMs: ASK_AGAIN_MS,
      call: async (act) => {
        const now = await act.readVariables(place);
        return { ok: now.missing.length === 0, detail: variablesText(now) };
      },
    },
  );
  await readVariables(run, place);
  done.push(`environment variables: ${missing.join(', ')}`);
}

/** Has the last good deployment in front where the application does not serve, its database being well. */
export async function recoverApplication(recovery: Recovery, found: Situation): Promise<void> {
  const { run, place, done, open } = recovery;
  const { found: before } = found.symptoms;
  if (before !== undefined && !isMeasured(before)) {
    await run.task(
      `Nothing tells whether the application of ${targetOf(place)} serves: no health check and no error rate is configured. Try what its customers need, have it serve, and then say so.`,
    );
    done.push('the application, which serves as a person has said');
    return;
  }
  // Much of what was wrong with it may have been its database.
  const serving = await run.attempt(() => verifyServing(run, place));
  if (serving.ok) {
    if (before?.ok !== true) done.push('the application, which serves again');
    return;
  }
  if (before === undefined) {
    open.push(`${PART}: whether it serves is not known: ${serving.why}`);
    return;
  }
  const current = currentOf(found.deployments.found ?? []);
  const target = current && earlierThan(current, found.deployments.found ?? []);
  if (place.environment !== DEPLOYED || current === undefined || target === undefined)
    return byHand(recovery, found, serving.why);
  const child = await recoverBy(
    recovery,
    { title: `Roll back to ${describeDeployment(target)}`, why: serving.why },
    'rollBackDeployment',
    { from: current.id, deployment: target.id },
  );
  // It looks again itself, and found that it serves.
  if (child.outcome === 'NOTHING_TO_DO') {
    const again = await run.attempt(() => verifyServing(run, place));
    if (!again.ok) open.push(`${PART}: ${again.why}`);
    return;
  }
  if (settlePart(recovery, PART, child)) done.push(`the application: ${child.summary}`);
}

/** Nobody knows of a deployment that could be put in front. */
async function byHand(recovery: Recovery, { deployments }: Situation, why: string): Promise<void> {
  const { run, place } = recovery;
  const known = deployments.found === undefined ? deployments.why : deploymentsText(deployments.found);
  await run.task(
    `The application of ${targetOf(place)} does not serve: ${why}. None can be rolled back to (${known}). Deploy the last good commit by hand; this run goes on when it serves.`,
    overCheck(place),
  );
  const serving = await run.attempt(() => verifyServing(run, place));
  if (serving.ok) recovery.done.push('the application, deployed by hand');
  else recovery.open.push(`${PART}: ${serving.why}`);
}

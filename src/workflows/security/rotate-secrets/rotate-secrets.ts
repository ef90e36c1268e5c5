import { ApplicationFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { SecretsFound } from '../../../activities/security/secrets';
import type { InputOf } from '../../../catalogue/card';
import { targetOf, type Place } from '../../../contract/place';
import { uncheckedOf } from '../../database/checks';
import { countOf, digest, runbook, type Run } from '../../kit';
import { bringIn, type BroughtIn } from './bring-in';
import type { rotateSecretsCard } from './card';
import { agesText, planFor, wantedOf, type Wanted } from './plan';
import { takeOut } from './take-out';

type Input = InputOf<typeof rotateSecretsCard>;

/** What could not be done, and why; the rest goes on. */
type Failures = string[];

/** Replaces secrets by new ones, in such a way that whoever holds what an old one has signed can go on until it ends. */
export const rotateSecrets = runbook<typeof rotateSecretsCard>('rotateSecrets', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const graceMs = input.graceMinutes === undefined ? undefined : input.graceMinutes * 60_000;
  let { found, wanted } = await look(run, input);
  const unchecked = await uncheckedOf(run, place);
  let stale = false;
  await run.gate(async () => {
    if (stale) ({ found, wanted } = await look(run, input));
    stale = true;
    return planFor(place, wanted, found, { graceMs, unchecked });
  });

  const failures: Failures = found.unknown.map(({ secret, detail }) => `${secret}: ${detail}`);
  const asks = ({ overlap, onlyRetire }: Wanted) => !overlap && !onlyRetire;
  const brought = await bringAllIn(
    run,
    place,
    wanted.filter((one) => !asks(one)),
    { graceMs, failures },
  );
  const { agreed, declined } = await agreeOnSwaps(run, place, wanted.filter(asks), failures);
  if (declined.length === wanted.length) return run.reject(`${declined.join(', ')} not swapped, as decided`);
  brought.push(...(await bringAllIn(run, place, agreed, { graceMs, failures })));
  // What was issued may live on for days, and nobody who has to look waits for that.
  const told = brought.length === 0 ? 0 : failures.length;
  if (told > 0) await callPeople(run, place, failures.join('; '));
  const retired = await takeAllOut(run, place, brought, failures);
  return conclude(run, place, { retired, declined, failures, told });
});

/** Ends the run where nothing is due. */
async function look(
  run: Run,
  { service, environment, secrets }: Input,
): Promise<{ found: SecretsFound; wanted: Wanted[] }> {
  const found = await run.step(
    'How old are the secrets?',
    (act) => act.readSecrets({ service, environment, ...(secrets === undefined ? {} : { secrets }) }),
    { describe: agesText },
  );
  for (const { secret, detail } of found.unknown)
    run.note(`Finding: nobody knows how old ${secret} is`, detail, { failed: true });
  const wanted = wantedOf(found, secrets !== undefined);
  if (wanted.length > 0) return { found, wanted };
  if (found.unknown.length === 0) return run.nothingToDo(`no secret is due: ${agesText(found)}`);
  throw ApplicationFailure.nonRetryable(
    `none of the others is due, and of ${countOf(found.unknown.length, 'secret')} nobody knows: ${agesText(found)}`,
    'SecretUnknown',
  );
}

const SWAP = 'swap it now';
const LATER = 'not now';

/** After what asks nobody: who is asked may take hours. One about which nobody decides keeps no other from being asked about. */
async function agreeOnSwaps(
  run: Run,
  place: Place,
  wanted: Wanted[],
  failures: Failures,
): Promise<{ agreed: Wanted[]; declined: string[] }> {
  const agreed: Wanted[] = [];
  const declined: string[] = [];
  for (const one of wanted) {
    const { secret } = one;
    await run.announce(
      `${place.service}: ${secret} of ${targetOf(place)} is about to be swapped, when somebody says so. From then on whoever still has the former version is refused.`,
    );
    const question = `${secret} of ${targetOf(place)} has no time in which two versions are accepted. Swap it now?`;
    const choice = await run.ask(question, [SWAP, { harmless: LATER }]).catch(nobody);
    if (choice === SWAP) agreed.push(one);
    else if (choice === undefined) failures.push(`${secret}: nobody decided in time about its swap`);
    else {
      declined.push(secret);
      run.note(`${secret} stays as it is`, `as decided: "${choice}"`);
    }
  }
  return { agreed, declined };
}

function nobody(error: unknown): undefined {
  if (isCancellation(error)) throw error;
}

/** One that fails has its former version again, and keeps no other from being rotated. */
async function bringAllIn(
  run: Run,
  place: Place,
  wanted: Wanted[],
  { graceMs, failures }: { graceMs: number | undefined; failures: Failures },
): Promise<BroughtIn[]> {
  const brought: BroughtIn[] = [];
  const version = versionOf(run);
  for (const one of wanted) {
    const { secret, active, accepted } = one;
    if (one.onlyRetire) {
      brought.push({ status: one, version: active.version, formers: accepted, retireAt: Date.now() });
      continue;
    }
    const { ok, why } = await run.attempt(async () => {
      brought.push(await bringIn(run, place, one, { version, graceMs: graceMs ?? one.graceMs }));
      run.fact(`version of ${secret}`, version);
    });
    if (!ok) failures.push(`${secret}: ${why}`);
  }
  return brought;
}

/** The same in all attempts, and in no other run: what is there under this name is ours. */
function versionOf(run: Run): string {
  const { firstExecutionRunId, startTime } = workflowInfo();
  const day = startTime.toISOString().slice(0, 10).replaceAll('-', '');
  return `${day}-${digest([run.id, firstExecutionRunId])}`;
}

/** Those that may end first come first. */
async function takeAllOut(
  run: Run,
  place: Place,
  brought: BroughtIn[],
  failures: Failures,
): Promise<string[]> {
  const retired: string[] = [];
  for (const one of [...brought].sort((a, b) => a.retireAt - b.retireAt)) {
    const { secret } = one.status;
    const { ok, why } = await run.attempt(() => takeOut(run, place, one));
    if (ok) retired.push(secret);
    else
      failures.push(`${secret}: ${one.version} is in use; retiring ${one.formers.join(', ')} failed: ${why}`);
  }
  return retired;
}

async function conclude(
  run: Run,
  place: Place,
  {
    retired,
    declined,
    failures,
    told,
  }: { retired: string[]; declined: string[]; failures: Failures; told: number },
): Promise<string> {
  const where = targetOf(place);
  const done =
    retired.length === 0
      ? `no secret of ${where} was rotated`
      : `${retired.join(', ')} of ${where}: the new version is used, former ones are refused`;
  const left = declined.length === 0 ? '' : `; not swapped, as decided: ${declined.join(', ')}`;
  if (failures.length === 0) {
    await run.announce(`${place.service}: ${done}${left}.`);
    return `${done}${left}`;
  }
  const problem = `${done}${left}; ${failures.join('; ')}`;
  if (failures.length > told) await callPeople(run, place, problem);
  throw ApplicationFailure.nonRetryable(problem, 'RotationFailed');
}

async function callPeople(run: Run, { service }: Place, problem: string): Promise<void> {
  await run.page(
    `${service}: secrets could not be rotated: ${problem.replace(/\.+$/, '')}. Look at it, then start rotateSecrets again.`,
  );
}

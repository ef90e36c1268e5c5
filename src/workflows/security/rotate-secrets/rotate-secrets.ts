import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { SecretsFound } from '../../../activities/security/secrets';
import type { InputOf } from '../../../catalogue/card';
import { targetOf, type Place } from '../../../contract/place';
import { uncheckedOf } from '../../database/checks';
import { countOf, digest, runbook, type Run } from '../../kit';
import { bringIn } from './bring-in';
import type { rotateSecretsCard } from './card';
import { agesText, planFor, wantedOf, type Wanted } from './plan';
import { callPeople, tellFailures, type SoFar } from './so-far';
import { agreed } from './swap';
import { takeOutUntil } from './take-out';

type Input = InputOf<typeof rotateSecretsCard>;

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

  const asks = ({ overlap, onlyRetire }: Wanted) => !overlap && !onlyRetire;
  const failures = found.unknown.map(({ secret, detail }) => `${secret}: ${detail}`);
  const so: SoFar = { brought: [], retired: [], declined: [], failures, told: 0 };
  for (const one of wanted) if (!asks(one)) await bringOneIn(run, place, one, { graceMs, so });
  for (const one of wanted.filter(asks))
    if (await agreed(run, place, one, so)) await bringOneIn(run, place, one, { graceMs, so });
  if (so.declined.length === wanted.length)
    return run.reject(`${so.declined.join(', ')} not swapped, as decided`);
  // What was issued may live on for days, and nobody who has to look waits for that.
  if (so.brought.length > 0) await tellFailures(run, place, so);
  await takeOutUntil(run, place, so, Infinity);
  return conclude(run, place, so);
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

/** One that fails has its former version again, and keeps no other from being rotated. */
async function bringOneIn(
  run: Run,
  place: Place,
  one: Wanted,
  { graceMs, so }: { graceMs: number | undefined; so: SoFar },
): Promise<void> {
  const { secret, active, accepted } = one;
  if (one.onlyRetire) {
    so.brought.push({ status: one, version: active.version, formers: accepted, retireAt: Date.now() });
    return;
  }
  const version = versionOf(run);
  const { ok, why } = await run.attempt(async () => {
    so.brought.push(await bringIn(run, place, one, { version, graceMs: graceMs ?? one.graceMs }));
    run.fact(`version of ${secret}`, version);
  });
  if (!ok) so.failures.push(`${secret}: ${why}`);
}

/** The same in all attempts, and in no other run: what is there under this name is ours. */
function versionOf(run: Run): string {
  const { firstExecutionRunId, startTime } = workflowInfo();
  const day = startTime.toISOString().slice(0, 10).replaceAll('-', '');
  return `${day}-${digest([run.id, firstExecutionRunId])}`;
}

async function conclude(
  run: Run,
  place: Place,
  { retired, declined, failures, told }: SoFar,
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

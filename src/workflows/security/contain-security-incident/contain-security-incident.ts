import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { Containment } from '../../../activities/security/containment';
import { targetOf, type Place } from '../../../contract/place';
import { allHold, uncheckedOf } from '../../database/checks';
import { causeOf, runbook, type Run } from '../../kit';
import type { containSecurityIncidentCard } from './card';
import { checkIsolations, isolateAll, lookAt } from './isolate';
import { dutiesOf, seeToDuties } from './people';
import { planFor, scopeText, staysText, titleOf, type Input, type Log, type Standing } from './plan';

const DAY_MS = 86_400_000;

/** Shuts out whoever got in, keeps the evidence, and sees that people do what only they can do. */
export const containSecurityIncident = runbook<typeof containSecurityIncidentCard>(
  'containSecurityIncident',
  async (input, run) => {
    const startedAt = Date.now();
    const place = { service: input.service, environment: input.environment };
    const means = await readMeans(run, input);
    const unchecked = await uncheckedOf(run, place);
    await run.gate(() => planFor(input, means, unchecked));

    const log: Log = { denied: [], failed: [] };
    await preserve(run, place, means);
    await callPeople(run, input, means, log);
    const standing: Standing[] = [];
    const isolate = (asks: boolean) =>
      isolateAll(run, place, {
        isolations: means.isolations.filter((one) => one.asks === asks),
        rung: means.rung,
        ...{ standing, log },
      });
    await isolate(false);
    const scope = await readScope(run, input, means, startedAt);
    const rotation = rotate(run, input, means, log);
    // It is waited for below; until then nobody else hears of its end.
    void rotation.catch(() => undefined);
    try {
      await isolate(true);
      const left = leftOf(input, means, standing, scope);
      const duties = dutiesOf(run, place, means, { startedAt, scope: scope ?? 'not known', left });
      await verify(run, place, means, standing, log);
      await seeToDuties(run, place, means, duties, log);
    } finally {
      // It may ask people itself, and who is asked here does not hold it up.
      await rotation;
    }
    log.failed.push(...(await checkIsolations(run, place, standing)));
    return conclude(run, input, means, standing, log);
  },
);

async function readMeans(
  run: Run,
  { service, environment, addresses, actors, isolate, secrets, from, to }: Input,
): Promise<Containment> {
  if (from !== undefined && Date.parse(from) >= (to === undefined ? Date.now() : Date.parse(to)))
    throw ApplicationFailure.nonRetryable(
      `from (${from}) is not before to (${to ?? 'now'}): nothing could be found in between.`,
      'InvalidInput',
    );
  return run.step(
    'What can be isolated here?',
    (act) =>
      act.readContainment({
        service,
        environment,
        addresses,
        actors,
        secrets,
        ...(isolate === undefined ? {} : { isolate }),
      }),
    {
      describe: ({ isolations, unconfigured }) =>
        `${isolations.length} isolations; ${unconfigured.length} parts not configured`,
    },
  );
}

const WITHOUT = 'go on without them';

/** Whatever is changed from here on may change what the logs say. */
async function preserve(run: Run, place: Place, { preserves, rung }: Containment): Promise<void> {
  const where = targetOf(place);
  if (!preserves) {
    await run.page(
      `${where}: somebody may have got in, and nothing is done before a person has preserved the logs.`,
      { rung },
    );
    await run.task(
      `Preserve the logs of ${where} now, before anything is changed, and say where they are: security.preserveLogs is not configured.`,
    );
    run.fact('logs', 'preserved by a person, as they say');
    return;
  }
  try {
    const logs = await run.step(
      'Preserve the logs',
      (act) => act.preserveLogs({ ...place, incident: run.id }),
      {
        kind: 'long',
        undo: { harmless: 'a copy of the logs' },
        describe: ({ where: at, sha256, verified }) =>
          `${at}, SHA-256 ${sha256}${verified ? '' : ', as the command says: the worker cannot read it'}`,
      },
    );
    run.fact('logs', logs.where);
    run.fact('logsSha256', logs.sha256);
  } catch (error) {
    if (isCancellation(error)) throw error;
    const why = causeOf(error).message;
    await run.page(
      `${where}: somebody may have got in, the logs are not preserved, and nothing is done before a person decides.`,
      { rung },
    );
    const choice = await run.ask(
      `The logs of ${where} are not preserved (${why}) What is done next may change them. Go on?`,
      [WITHOUT, { harmless: 'stop' }],
    );
    if (choice !== WITHOUT) run.reject(`stopped, as decided, because the logs are not preserved: ${why}`);
    run.fact('logs', 'not preserved, as decided');
  }
}

/** Whether anybody leads it keeps nobody from containing it. */
async function callPeople(run: Run, input: Input, { rung }: Containment, log: Log): Promise<void> {
  const { service, environment, title, startedBy } = input;
  const paged = await run.page(
    `${service}: ${title} on ${targetOf(input)}. It is being contained by ${run.id}.`,
    {
      rung,
      severity: 'P0',
    },
  );
  if (paged.told.length === 0) log.failed.push('nobody could be paged');
  try {
    const { workflowId } = await run.launch(
      'Lead it as an incident',
      'respondToIncident',
      'security',
      { service, environment, title, severity: 'P0', runbook: false, postmortem: true, startedBy },
      title,
    );
    run.fact('incident', workflowId);
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.failed.push(`no incident was opened: ${causeOf(error).message}`);
  }
}

/** Undefined where nobody knows. */
async function readScope(
  run: Run,
  input: Input,
  { audited }: Containment,
  startedAt: number,
): Promise<string | undefined> {
  if (!audited) return undefined;
  const { service, environment, addresses, actors } = input;
  const from = input.from ?? new Date(startedAt - DAY_MS).toISOString();
  const to = input.to ?? new Date(Date.now()).toISOString();
  try {
    const scope = await run.step(
      `What does the audit log say of ${from} to ${to}?`,
      (act) => act.readBreachScope({ service, environment, from, to, addresses, actors }),
      { describe: (found) => (found === null ? 'not configured' : scopeText(found)) },
    );
    if (scope === null) return undefined;
    run.fact('scope', scopeText(scope));
    return scopeText(scope);
  } catch (error) {
    if (isCancellation(error)) throw error;
    run.note('Finding: how far it went is not known', causeOf(error).message, { failed: true });
    return undefined;
  }
}

/** A part of its own, with its own plan, gate and way back. */
async function rotate(run: Run, input: Input, { rung }: Containment, log: Log): Promise<void> {
  const { service, environment, secrets, startedBy, mode } = input;
  if (secrets.length === 0) return;
  const { outcome, summary } = await run.child('Rotate the secrets', 'rotateSecrets', {
    service,
    environment,
    secrets,
    graceMinutes: 0,
    startedBy,
    ...(mode === undefined ? {} : { mode }),
  });
  if (outcome === 'SUCCEEDED') return;
  if (outcome === 'REJECTED') return void log.denied.push(`rotating ${secrets.join(', ')} (${summary})`);
  log.failed.push(`rotating ${secrets.join(', ')}: ${outcome}: ${summary}`);
  await run.page(
    `${service}: not all secrets that may be known were rotated (${summary}). Rotate the others by hand.`,
    { rung },
  );
}

/** What is left to people, because nothing that could do it is configured or named. */
function leftOf(
  { secrets }: Input,
  { isolations }: Containment,
  standing: Standing[],
  scope: string | undefined,
): string[] {
  return [
    ...(isolations.length === 0
      ? ['isolate what is affected: block addresses, end sessions, switch off features']
      : []),
    ...standing
      .filter(({ state }) => state !== 'in force')
      .map((one) => `verify by hand whether ${titleOf(one)} isolates, which is ${one.state}`),
    ...(scope === undefined
      ? ['find out from logs and audit trail how far it went, and whose data it concerns']
      : []),
    ...(secrets.length === 0 ? ['rotate every secret that may be known, e.g. with rotateSecrets'] : []),
  ];
}

async function verify(
  run: Run,
  place: Place,
  { rung }: Containment,
  standing: Standing[],
  log: Log,
): Promise<void> {
  const problems = await checkIsolations(run, place, standing);
  // Whether it lasts is for the look at the end to say: people may repair it until then.
  if (problems.length > 0)
    await run.page(`${place.service}: ${problems.join('; ')}. Isolate it by hand.`, { rung });
  const { ok, detail } = await lookAt(run, `Health of ${targetOf(place)}`, async (act) => {
    const checks = await act.checkHealth(place);
    return checks.length === 0 ? { ok: true, detail: 'not checked: none is configured' } : allHold(checks);
  });
  // What was isolated on purpose may be all of it.
  const meant = standing.some(({ asks }) => asks);
  if (!ok && !meant) log.failed.push(`health: ${detail}`);
}

async function conclude(
  run: Run,
  { service, title }: Input,
  { rung }: Containment,
  standing: Standing[],
  { denied, failed }: Log,
): Promise<string> {
  const stays = staysText(standing);
  run.note('What stays isolated', stays);
  const summary = [
    `${title}: ${stays}`,
    ...(denied.length === 0 ? [] : [`denied: ${denied.join(', ')}`]),
    ...(failed.length === 0 ? [] : [`not done: ${failed.join('; ')}`]),
  ].join('; ');
  if (failed.length > 0) {
    await run.page(`${service}: the containment is not complete. ${summary}`, { rung });
    throw ApplicationFailure.nonRetryable(summary, 'ContainmentIncomplete');
  }
  await run.announce(`${service}: ${summary}.`);
  return summary;
}

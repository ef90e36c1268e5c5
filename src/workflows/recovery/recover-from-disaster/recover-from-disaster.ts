import { ApplicationFailure } from '@temporalio/workflow';
import { type Place, targetOf } from '../../../contract/place';
import { duration, type Run, runbook } from '../../kit';
import { recoverApplication, recoverVariables } from './application';
import { uncheckedOf } from '../../database/checks';
import { assess, isDown, unknownIn, type Situation } from './assess';
import type { recoverFromDisasterCard } from './card';
import { recoverDatabase, type Restored } from './database';
import { draftOf, wellIn, wrongIn } from './plan';
import type { Recovery } from './recovery';
import { openIncident, outageText, overText, tellClients } from './tell';
import { verifyWhole } from './verify';

/** Brings a service back of which several parts may be gone at once: the database first, and what works with it after it. */
export const recoverFromDisaster = runbook<typeof recoverFromDisasterCard>(
  'recoverFromDisaster',
  async ({ service, environment, startedBy, alert }, run) => {
    const place = { service, environment };
    const beganAtMs = beginningOf(alert?.startsAt);
    const found = await assess(run, place);
    const wrong = wrongIn(found);
    const well = wellIn(found);
    if (wrong.length === 0) return nothingWrong(run, place, found, well);
    const unchecked = await uncheckedOf(run, place);
    await run.plan(draftOf(run.policy, place, found, unchecked));

    const recovery: Recovery = {
      ...{ run, place, startedBy, alert, beganAtMs, isDown: isDown(found) },
      ...{ done: [], open: [], remarks: [], refused: false },
    };
    await openIncident(recovery, wrong);
    if (recovery.isDown) await run.announce(outageText(place, beganAtMs));
    const restored = await recoverDatabase(recovery, found);
    if (restored === undefined) recovery.open.push(...withoutDatabase(found));
    else {
      await recoverVariables(recovery, found);
      await recoverApplication(recovery, found);
      await verifyWhole(recovery, restored);
    }
    return conclude(recovery, restored, well);
  },
);

/** What the alert says, where that can be: a time to come, or none at all, would make the outage shorter than it is. */
function beginningOf(startsAt: string | null | undefined): number {
  const said = startsAt == null ? NaN : Date.parse(startsAt);
  return said <= Date.now() ? said : Date.now();
}

function nothingWrong(run: Run, place: Place, found: Situation, well: string[]): never {
  const unknown = unknownIn(found);
  const parts = [
    `of ${targetOf(place)} nothing is known to be broken`,
    `well: ${well.join(', ') || 'nothing that was looked at'}`,
    ...(found.symptoms.found === undefined ? [] : [found.symptoms.found.detail]),
    ...(unknown.length === 0 ? [] : [`not known: ${unknown.join('; ')}`]),
    'rows that are missing one by one are for recoverFromCorruption',
  ];
  // Whoever cannot be asked whether it serves has not said that it does.
  if (found.symptoms.found === undefined)
    throw ApplicationFailure.nonRetryable(`${parts.join('; ')}. Nothing was changed`, 'SymptomsUnknown');
  return run.nothingToDo(parts.join('; '));
}

/** A deployment that is judged while its database is gone would be judged wrongly. */
function withoutDatabase({ symptoms }: Situation): string[] {
  return symptoms.found?.ok === true
    ? []
    : ['the application: not tried, because nothing can tell whether it serves without its database'];
}

async function conclude(
  { run, place, beganAtMs, isDown, done, open, remarks, refused }: Recovery,
  restored: Restored | undefined,
  well: string[],
): Promise<string> {
  const target = targetOf(place);
  const parts = [
    done.length === 0 ? '' : `recovered: ${done.join('; ')}`,
    open.length === 0 ? '' : `not recovered: ${open.join('; ')}`,
    well.length === 0 ? '' : `was well and left alone: ${well.join(', ')}`,
    remarks.length === 0 ? '' : `to be known: ${remarks.join('; ')}`,
  ];
  const text = parts
    .filter((part) => part !== '')
    .map((part) => part.replace(/\.+$/, ''))
    .join('. ');
  if (open.length > 0 || restored === undefined) {
    const end = `${target} is not recovered. ${text}`;
    return refused ? run.reject(end) : run.needsHuman(end);
  }
  if (!isDown) return `${target}: what was missing is there. ${text}`;
  const tookMs = Date.now() - beganAtMs;
  judgeObjectives(run, tookMs);
  await tellClients(run, place, overText(place, beganAtMs, restored));
  return `${target} serves again, ${duration(tookMs)} after the outage began. ${text}`;
}

/** They are measured and told; a service that is up again is not failed because it took long. */
function judgeObjectives(run: Run, tookMs: number): void {
  run.fact('rtoSeconds', Math.round(tookMs / 1_000));
  const wantedMs = run.objective('rtoSeconds') * 1_000;
  run.note(
    tookMs <= wantedMs ? 'Within the recovery time objective' : 'Longer than the recovery time objective',
    `${duration(tookMs)}, objective ${duration(wantedMs)}`,
    tookMs <= wantedMs ? {} : { failed: true },
  );
}

import { type Place, targetOf } from '../../../contract/place';
import { duration, type Run, runbook } from '../../kit';
import { recoverApplication, recoverVariables } from './application';
import { assess, type Situation } from './assess';
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
    if (wrong.length === 0) return run.nothingToDo(nothingWrong(place, found, well));
    await run.plan(draftOf(run.policy, place, found));

    const recovery: Recovery = {
      ...{ run, place, startedBy, alert, beganAtMs },
      ...{ done: [], open: [], remarks: [], refused: false },
    };
    await openIncident(recovery, wrong);
    await run.announce(outageText(place, beganAtMs));
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

function nothingWrong(place: Place, { symptoms }: Situation, well: string[]): string {
  const unknown =
    symptoms.found === undefined ? `; whether the application serves is not known: ${symptoms.why}` : '';
  const said = symptoms.found === undefined ? '' : `; ${symptoms.found.detail}`;
  return `of ${targetOf(place)} nothing is known to be broken; well: ${well.join(', ') || 'nothing that was looked at'}${said}${unknown}`;
}

/** A deployment that is judged while its database is gone would be judged wrongly. */
function withoutDatabase({ symptoms }: Situation): string[] {
  return symptoms.found?.ok === true
    ? []
    : ['the application: not tried, because nothing can tell whether it serves without its database'];
}

async function conclude(
  { run, place, beganAtMs, done, open, remarks, refused }: Recovery,
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

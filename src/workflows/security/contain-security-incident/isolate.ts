import { condition, isCancellation } from '@temporalio/workflow';
import type { Isolation, IsolationRef } from '../../../activities/security/containment';
import type { Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { causeOf, type Call, type Run, type Verdict } from '../../kit';
import { untilSettled } from '../until-settled';
import { staysText, titleOf, type Log, type Standing } from './plan';

export interface Isolating {
  isolations: Isolation[];
  rung: number;
  standing: Standing[];
  log: Log;
}

const DO = 'do it';
const LEAVE = 'leave it out';
const OPEN: Pick<Standing, 'state' | 'remark'> = { state: 'set, and open', remark: '' };
const BEFORE = 'its probe said isolated before it was set, and proves nothing';
const UNKNOWN_BEFORE = 'its probe could not tell before it was set, and proves nothing';

/**
 * One after the other; what fails is taken back where it can be, and keeps none of the others. Adds what stays. The fact
 * `isolations` has it all the time: people may take days, or the run may end before its last word.
 */
export async function isolateAll(
  run: Run,
  place: Place,
  { isolations, rung, standing, log }: Isolating,
): Promise<void> {
  run.fact('isolations', staysText(standing));
  for (const one of isolations) {
    const title = titleOf(one);
    if (one.asks && !(await isAgreed(run, place, one, log))) continue;
    const begun: Begun = { granted: false };
    void callWhereItWaits(run, place, rung, one, () => begun.granted).catch(() => undefined);
    const { ok, why } = await run
      .attempt(() => isolate(run, place, one, begun))
      .finally(() => {
        begun.granted = true;
        if (begun.stays !== undefined) standing.push(begun.stays);
        run.fact('isolations', staysText(standing));
      });
    if (ok) continue;
    log.failed.push(`${title}: ${why}`);
    const stays = begun.stays === undefined ? '' : ` ${staysText([begun.stays])}.`;
    await run.page(`${place.service}: ${title} does not isolate (${why}). Isolate it by hand.${stays}`, {
      rung,
    });
  }
}

interface Begun {
  /** Of the lease; also once nobody waits for it any more. */
  granted: boolean;
  stays?: Standing;
}

const LEASE_PATIENCE_MS = 2 * 60_000;

/** Whoever has the application may wait for people, or have been left to them: then nobody isolates before they know. */
async function callWhereItWaits(
  run: Run,
  place: Place,
  rung: number,
  one: Isolation,
  over: () => boolean,
): Promise<void> {
  if (await condition(over, Math.min(LEASE_PATIENCE_MS, run.policy.escalateAfterMs))) return;
  await run.page(
    `${place.service}: ${titleOf(one)} does not isolate yet: another run has the lease of ${applicationIn(place)}. Have it released, or isolate by hand.`,
    { rung },
  );
}

async function isAgreed(run: Run, { service }: Place, one: Isolation, log: Log): Promise<boolean> {
  const title = titleOf(one);
  const lasting = one.reversible ? `To end it: ${one.howToEnd}.` : 'It cannot be taken back.';
  const choice = await run
    .ask(`${service}: ${title}: ${one.does}. ${lasting} Shall it be done?`, [DO, { harmless: LEAVE }])
    .catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      return causeOf(error).message;
    });
  if (choice === DO) return true;
  log.denied.push(`${title} (${choice === LEAVE ? 'as decided' : 'nobody decided in time'})`);
  run.note(`Denied: ${title}`, choice, { failed: true });
  return false;
}

/** `begun.stays` is what would stay if the run came no further; nothing, once it was taken back. */
async function isolate(run: Run, place: Place, one: Isolation, begun: Begun): Promise<void> {
  const ref = refOf(place, one);
  const name = titleOf(one);
  const title = `Isolate: ${name}`;
  await run.exclusively(applicationIn(place), async (fence) => {
    begun.granted = true;
    const before = await isIsolatedAlready(run, ref, one);
    const back = async (): Promise<void> => {
      try {
        await run.step(`End ${name}`, (act) => act.endIsolation({ ...ref, fence }), {
          kind: 'mutate',
          undo: { takesBack: title },
          describe: ({ detail }) => detail,
        });
        delete begun.stays;
      } catch (error) {
        if (isCancellation(error)) throw error;
        begun.stays = { ...one, state: 'perhaps set', remark: `ending it failed: ${reasonOf(error)}` };
        await leaveToPeople(run, ref, name);
      }
    };
    begun.stays = { ...one, state: 'perhaps set', remark: '' };
    await run.step(title, (act) => act.applyIsolation({ ...ref, fence }), {
      kind: 'mutate',
      undo: undoOf(one, before === true, { title: `End ${name}`, back }),
      describe: ({ detail }) => detail,
    });
    const set: Standing = { ...one, state: 'set, not verified', remark: 'it has no probe' };
    begun.stays = set;
    if (!one.probed) return;
    set.remark = 'its probe was not asked to the end';
    const { isolated, detail } = await run.verify(
      `${name} isolates`,
      (act) =>
        untilSettled(
          () => act.probeIsolation(ref),
          (probe) => probe.isolated === true,
          one.settleMs,
        ),
      // One that nobody can probe now is better kept than ended.
      (probe) => {
        if (probe.isolated === false) Object.assign(set, OPEN);
        return { ok: probe.isolated !== false, detail: probe.detail };
      },
    );
    if (isolated && before === false) Object.assign(set, { state: 'in force', remark: '' });
    else if (isolated) set.remark = before === null ? UNKNOWN_BEFORE : BEFORE;
    else set.remark = detail;
  });
}

/** The others cannot wait until somebody has repaired this one. */
async function leaveToPeople(run: Run, ref: IsolationRef, name: string): Promise<void> {
  await run.step(`Leave ${name} to people`, (act) => act.probeIsolation(ref), {
    kind: 'mutate',
    undo: { irreversible: `${name} is perhaps set` },
    describe: ({ detail }) => detail,
  });
}

/**
 * A probe that does not find it open now cannot show later that this run did it. Null where nobody can tell, which keeps
 * nothing from being isolated.
 */
async function isIsolatedAlready(run: Run, ref: IsolationRef, one: Isolation): Promise<boolean | null> {
  if (!one.probed) return false;
  try {
    const { isolated } = await run.step(
      `Is it isolated already: ${titleOf(one)}?`,
      (act) => act.probeIsolation(ref),
      { describe: ({ detail }) => detail },
    );
    return isolated;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return null;
  }
}

/** What was isolated before is not this run's to end. */
function undoOf<T extends object>({ reversible, does }: Isolation, before: boolean, undo: T) {
  if (before) return { harmless: `${does}, as before` };
  return reversible ? undo : { irreversible: does };
}

/** Looks once more, and says what isolates no longer, e.g. since a deployment. */
export async function checkIsolations(run: Run, place: Place, standing: Standing[]): Promise<string[]> {
  const problems: string[] = [];
  for (const one of standing) {
    if (!one.probed || one.state === 'perhaps set') continue;
    const { state } = one;
    const { ok, detail } = await lookAt(run, `${titleOf(one)} still isolates`, async (act) => {
      const probe = await act.probeIsolation(refOf(place, one));
      if (probe.isolated === false) Object.assign(one, OPEN);
      if (probe.isolated === null) Object.assign(one, { state: 'set, not verified', remark: probe.detail });
      return { ok: probe.isolated ?? state === 'set, not verified', detail: probe.detail };
    });
    if (!ok) problems.push(`${titleOf(one)}: it should isolate, and is: ${detail}`);
  }
  run.fact('isolations', staysText(standing));
  return problems;
}

/** Where it cannot be looked at nobody knows, and the rest goes on. */
export async function lookAt(run: Run, title: string, call: Call<Verdict>): Promise<Verdict> {
  try {
    return await run.check(title, call);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { ok: false, detail: `not known: ${reasonOf(error)}` };
  }
}

function reasonOf(error: unknown): string {
  return causeOf(error).message.replace(/\.$/, '');
}

function refOf({ service, environment }: Place, { name, who }: Isolation): IsolationRef {
  return { service, environment, name, who };
}

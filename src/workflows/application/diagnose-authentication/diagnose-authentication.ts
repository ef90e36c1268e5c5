import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { AuthExamination, AuthRemedy } from '../../../activities/auth/auth';
import { targetOf, type Place } from '../../../contract/place';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, runbook, type Run, type TaskCheck, type Verdict } from '../../kit';
import { applicationIn } from '../serving';
import type { diagnoseAuthenticationCard } from './card';
import { examinationText, failedOf, findingText, forPeople, LABELS, planFor, remediesFor } from './plan';

/** How often people are asked before one of them takes over. */
const MAX_TASKS = 3;
/** Each look is a login, and accounts are locked that log in too often. */
const LOOK_EVERY_MS = 300_000;
const MAX_LOOKS = 400;
const LOOKS_AFTER_CHANGE = 6;
const AGAIN_MS = 5_000;

/** Finds out why people cannot log in, and verifies by a test login that they can. */
export const diagnoseAuthentication = runbook<typeof diagnoseAuthenticationCard>(
  'diagnoseAuthentication',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let found = await examine(run, place);
    const unchecked = await uncheckedOf(run, place);
    let isFirst = true;
    await run.gate(async () => {
      if (!isFirst) found = await examine(run, place);
      isFirst = false;
      return planFor(place, found, unchecked);
    });
    const first = failedOf(found).map(({ topic }) => topic);
    run.fact('cause', [...new Set(first)].join(', '));
    await run.announce(`${service}: logging in is in trouble: ${findingsText(found, place)}.`);

    for (let tasks = 0; ; tasks += 1) {
      for (const remedy of remediesFor(found, tasks > 0)) {
        found = await mend(run, place, remedy, found);
        if (failedOf(found).length === 0) break;
      }
      if (failedOf(found).length === 0) break;
      if (tasks === MAX_TASKS)
        return run.needsHuman(
          `logging in to ${targetOf(place)} is in trouble though people were asked ${countOf(MAX_TASKS, 'time')}: ${findingsText(found, place)}`,
        );
      await askPeople(run, place, found);
      found = await run.step('Examine it again', (act) => act.examineAuthentication(place), {
        describe: examinationText,
      });
    }

    await run.verify('A test login works', (act) => act.examineAuthentication(place), verdictOf);
    await verifyHealth(run, place);
    await verifySmoke(run, place);
    await run.announce(`${service}: a test login works again.`);
    return `a test login of ${targetOf(place)} works again; it was: ${[...new Set(first)].join(', ')}`;
  },
);

/** Ends the run where nothing is wrong. Says each finding. */
async function examine(run: Run, place: Place): Promise<AuthExamination> {
  const found = await run.step(
    'Log in, and look at all that is needed for it',
    (act) => examineTwice(act, place),
    { describe: examinationText },
  );
  for (const check of failedOf(found))
    run.note(`Finding: ${check.topic}`, findingText(check, place), { failed: true });
  if (failedOf(found).length > 0) return found;
  // There is no plan that would say what nobody looks at.
  const said = [examinationText(found), ...found.unconfigured].join('; ');
  return run.nothingToDo(`a test login of ${targetOf(place)} works: ${said}`);
}

/** One answer that was lost on its way is no reason to restart anything. */
async function examineTwice(act: Activities, place: Place): Promise<AuthExamination> {
  const found = await act.examineAuthentication(place);
  if (failedOf(found).length === 0) return found;
  await sleep(Math.min(AGAIN_MS, found.settleMs));
  return act.examineAuthentication(place);
}

/** Under the lease, with a test login behind it. One that cannot be carried out is said, and others are tried. */
async function mend(
  run: Run,
  place: Place,
  remedy: AuthRemedy,
  before: AuthExamination,
): Promise<AuthExamination> {
  let after = before;
  const { ok, why } = await run.attempt(async () => {
    await run.exclusively(applicationIn(place), async (fence) => {
      await run.step(title(remedy), (act) => act.mendAuthentication({ ...place, fence, remedy }), {
        kind: 'mutate',
        undo: {
          irreversible: `${remedy === 'clearCache' ? 'what the application remembers of logins' : 'its configuration'} was ${remedy === 'clearCache' ? 'cleared' : 'put in place again'}`,
        },
        describe: ({ detail }) => detail,
      });
      after = await run.step('Did it help?', (act) => untilWell(act, place, before.settleMs), {
        describe: examinationText,
      });
    });
  });
  if (!ok) run.note(title(remedy), why, { failed: true });
  return after;
}

async function untilWell(act: Activities, place: Place, settleMs: number): Promise<AuthExamination> {
  for (let looks = 1; ; looks += 1) {
    const now = await act.examineAuthentication(place);
    if (failedOf(now).length === 0 || looks === LOOKS_AFTER_CHANGE) return now;
    await sleep(Math.max(settleMs / LOOKS_AFTER_CHANGE, 100));
  }
}

async function askPeople(run: Run, place: Place, found: AuthExamination): Promise<void> {
  const asked = forPeople(found);
  const text = asked.map((check) => findingText(check, place)).join('. ');
  const check: TaskCheck = {
    title: 'Is that well?',
    everyMs: Math.max(LOOK_EVERY_MS, run.policy.humanWaitMs / MAX_LOOKS),
    call: async (act) => {
      const now = failedOf(await act.examineAuthentication(place));
      const still = now.filter(({ topic }) => asked.some((one) => one.topic === topic));
      return {
        ok: still.length === 0,
        detail: still.map(({ topic, detail }) => `${topic}: ${detail}`).join('; ') || 'it is',
      };
    },
  };
  await run.task(
    `Logging in to ${targetOf(place)} is in trouble. ${text}. This goes on by itself when that is well.`,
    check,
  );
}

function verdictOf(found: AuthExamination): Verdict {
  const failed = failedOf(found);
  return {
    ok: failed.length === 0,
    detail: examinationText({ ...found, checks: failed.length > 0 ? failed : found.checks }),
  };
}

function findingsText(found: AuthExamination, place: Place): string {
  return failedOf(found)
    .map((check) => findingText(check, place))
    .join('; ');
}

function title(remedy: AuthRemedy): string {
  return LABELS[remedy].replace(/^./, (letter) => letter.toUpperCase());
}

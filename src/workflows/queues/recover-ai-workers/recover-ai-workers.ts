import { targetOf, type Place } from '../../../contract/place';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, runbook, verificationFailed, type Run } from '../../kit';
import { lookAgain, untilDrained } from '../drained';
import { delaysHold, depthText, queuesIn, seenOf } from '../findings';
import { orLost } from '../lost';
import { workersStarted } from '../workers';
import type { recoverAiWorkersCard } from './card';
import { courseOf, endWell, isWell, sameCourse, type Course } from './course';
import {
  CAUSE_TEXT,
  failuresText,
  isOnlyMeasured,
  leftAlone,
  planFor,
  providersText,
  unseenOf,
} from './plan';
import { putTasksBack, type PutBackResult } from './put-back';
import { asBefore, isSlowed, remedy, type Under } from './remedy';

/** Finds out why generations fail, gets them to a provider that is well, and puts back once what failed through one that was not. */
export const recoverAiWorkers = runbook<typeof recoverAiWorkersCard>(
  'recoverAiWorkers',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let course = await diagnose(run, place);
    const unchecked = await uncheckedOf(run, place);
    let stale = false;
    return orLost(run, service, async () => {
      await run.gate(async () => {
        if (stale) {
          const now = await diagnose(run, place, course);
          // Tasks go on failing: what is going to be done is what was approved.
          if (!sameCourse(course, now)) course = now;
        }
        stale = true;
        return planFor(place, course, unchecked);
      });
      return act(run, place, course);
    });
  },
);

/** Ends the run where tasks end well and nothing is left of a time in which they did not. */
async function diagnose(run: Run, place: Place, before?: Course): Promise<Course> {
  const ai = await run.step('Why tasks fail, and who generates', (act) => act.readAiWorkers(place), {
    describe: (found) => `${failuresText(found)}; ${providersText(found)}`,
  });
  const status = await run.step(
    `Look at ${ai.queue}`,
    (act) =>
      act.readQueues({
        ...place,
        only: [ai.queue],
        seen: before === undefined ? [] : seenOf([before.queue]),
      }),
    { describe: ({ queues }) => depthText(queues[0]!) },
  );
  const names = ai.measures;
  const measures =
    names.length === 0
      ? []
      : await run.step('Measure', (act) => act.measure({ ...place, names }), {
          describe: (all) => all.map(({ detail }) => detail).join('; '),
        });
  const course = courseOf({ ai, status, queue: status.queues[0]!, measures });
  if (isWell(course))
    return run.nothingToDo(
      [
        `the AI tasks of ${targetOf(place)} end well: ${providersText(ai)}; ${depthText(course.queue)}`,
        ...leftAlone(course),
        ...unseenOf(course),
      ].join('; '),
    );
  if (course.cause !== null)
    run.note(`Finding: ${CAUSE_TEXT[course.cause]}`, failuresText(ai), { failed: true });
  for (const { detail } of course.bad) run.note('Finding: a measure', detail, { failed: true });
  return course;
}

async function act(run: Run, place: Place, course: Course): Promise<string> {
  await peopleFirst(run, place, course);
  const done = await run.exclusively(queuesIn(place), async (fence) => {
    const under = { place, fence, course };
    const generatesWith = await remedy(run, under);
    const back = await putTasksBack(run, under);
    // Where no provider was in trouble, what ended well while people were at it tells as well.
    if (course.cause === null && back.count === 0) back.wellSince = course.ai.nowMs;
    let ended = await verifyTasks(run, under, back);
    if (isSlowed(course)) {
      await asBefore(run, under);
      ended = await staysWell(run, under, 'Tasks end well as often as before', back.wellSince);
    }
    await verifyHealth(run, place);
    await verifySmoke(run, place);
    return { ...back, generatesWith, ended };
  });
  return conclude(run, place, course, done);
}

/** What only they know, or can do. */
async function peopleFirst(run: Run, place: Place, course: Course): Promise<void> {
  const { queue, workerless, bad } = course;
  if (queue.paused) {
    const answer = await run.ask(
      `The queue ${queue.name} is paused. Was it paused by mistake, so that it may be resumed once tasks can end well?`,
      ['resume it', { harmless: 'leave it paused' }],
    );
    if (answer !== 'resume it')
      return run.reject(`${queue.name} stays paused, as decided: ${depthText(queue)}`);
  }
  if (workerless) await workersStarted(run, place, queue.name);
  if (!isOnlyMeasured(course)) return;
  const names = bad.map(({ name }) => name);
  await run.task(
    `Of the AI workers of ${targetOf(place)} ${bad.map(({ detail }) => detail).join('; ')}, and no task has failed through a provider. Find out why.`,
    {
      title: 'Are the measures as they should be?',
      everyMs: 60_000,
      call: async (act) => {
        const now = await act.measure({ ...place, names });
        return { ok: now.every(({ ok }) => ok), detail: now.map(({ detail }) => detail).join('; ') };
      },
    },
  );
}

async function verifyTasks(run: Run, under: Under, { wellSince }: PutBackResult): Promise<Ended> {
  const { place, course } = under;
  await untilDrained(run, place, { status: course.status, names: [course.queue.name] });
  const ended = await staysWell(run, under, 'Tasks end well', wellSince);
  const { measures: names } = course.ai;
  if (names.length > 0)
    await run.verify(
      'Measures keep their objectives',
      (act) => act.measure({ ...place, names }),
      (all) => ({ ok: all.every(({ ok }) => ok), detail: all.map(({ detail }) => detail).join('; ') }),
    );
  return ended;
}

const MAX_LOOKS = 60;

/** What was begun once tasks were to end well again, and is over. */
interface Ended {
  well: number;
  failed: number;
}

/** For as long as rates are looked back at; returns how many have ended by then. */
async function staysWell(
  run: Run,
  { place, course }: Under,
  title: string,
  begunAfter: number,
): Promise<Ended> {
  const { queue, status } = course;
  const { windowMs } = status;
  let ended: Ended = { well: 0, failed: 0 };
  await run.soak(
    title,
    async (act) => {
      const ai = await act.readAiWorkers({ ...place, begunAfter });
      const tasks = endWell(ai, queue);
      const delays = delaysHold(await lookAgain(act, place, { status, names: [queue.name] }));
      ended = { well: ai.completed, failed: tasks.failed };
      return { ok: tasks.ok && delays.ok, detail: `${tasks.detail}; ${delays.detail}` };
    },
    { forMs: windowMs, everyMs: Math.max(1_000, windowMs / MAX_LOOKS) },
  );
  return ended;
}

interface Done extends PutBackResult {
  generatesWith: string | undefined;
  ended: Ended;
}

function conclude(
  run: Run,
  place: Place,
  course: Course,
  { generatesWith, ended, count, done, failedAgain, remains }: Done,
): string {
  run.fact('cause', course.cause ?? 'none');
  run.fact('tasksPutBack', count);
  run.fact('tasksDone', done);
  const late = ended.failed - failedAgain;
  const others = [
    ...leftAlone(course),
    ...(late > 0
      ? [`${countOf(late, 'task')} failed through the provider since then, and is left to the next run`]
      : []),
  ];
  if (remains.length > 0)
    throw verificationFailed(
      `of the failed tasks of ${course.queue.name} ${[...remains, ...others].join('; ')}`,
    );
  const who = generatesWith === undefined ? '' : ` with ${generatesWith}`;
  const proven =
    done + ended.well > 0
      ? `the AI tasks of ${targetOf(place)} end well${who}`
      : `no AI task of ${targetOf(place)} has ended well${who} since this run looked, so whether they do is not known`;
  return [`${proven}; ${countOf(count, 'task')} put back, ${done} of them done`, ...others].join('; ');
}

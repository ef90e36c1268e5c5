import type { QueueStatus, Seen } from '../../../activities/queues/look';
import { targetOf, type Fence, type Place } from '../../../contract/place';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, runbook, verificationFailed, type Run } from '../../kit';
import { pauseQueues, resumeOwn } from '../pausing';
import { staysDrained, untilDrained } from '../drained';
import { orLost } from '../lost';
import { workersStarted } from '../workers';
import {
  depthText,
  findingsOf,
  flowText,
  queuesIn,
  queuesText,
  seenOf,
  shareText,
  unknownOf,
} from '../findings';
import { remainsText, retryFailed, runKey, type RetriedQueue } from '../retry-failed';
import type { drainQueueBacklogCard } from './card';
import { courseOf, planFor, sameCourse, type Course } from './plan';

/** Finds out why jobs wait or fail, gets them worked on, and loses and doubles none. */
export const drainQueueBacklog = runbook<typeof drainQueueBacklogCard>(
  'drainQueueBacklog',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let course = await diagnose(run, place);
    const unchecked = await uncheckedOf(run, place);
    let stale = false;
    return orLost(run, service, async () => {
      await run.gate(async () => {
        if (stale) {
          const now = await diagnose(run, place, seenOf(course.status.queues));
          // Depths move all the time: what is going to be done is what was approved.
          if (!sameCourse(course, now)) course = now;
        }
        stale = true;
        return planFor(place, course, unchecked);
      });
      return act(run, place, course);
    });
  },
);

/** Ends the run where every queue keeps its objectives. */
async function diagnose(run: Run, place: Place, seen: Seen[] = []): Promise<Course> {
  const status = await run.step('Look at the queues', (act) => act.readQueues({ ...place, seen }), {
    describe: ({ queues }) =>
      queues.map((one) => `${one.name}: ${depthText(one)}, ${flowText(one)}, ${shareText(one)}`).join('; '),
  });
  const course = courseOf(status);
  for (const { cause, detail } of course.findings) run.note(`Finding: ${cause}`, detail, { failed: true });
  if (course.findings.length > 0) return course;
  const unknown = status.queues.flatMap(unknownOf);
  const beside = unknown.length === 0 ? '' : `; ${unknown.join('; ')}`;
  return run.nothingToDo(
    `the queues of ${targetOf(place)} keep their objectives: ${queuesText(status.queues)}${beside}`,
  );
}

async function act(run: Run, place: Place, course: Course): Promise<string> {
  const resume = await mistakesOf(run, course);
  for (const queue of course.workerless) await workersStarted(run, place, queue);
  const left = course.askToResume.filter((queue) => !resume.includes(queue));
  const names = course.status.queues.map(({ name }) => name).filter((name) => !left.includes(name));
  await run.exclusively(queuesIn(place), (fence) => drain(run, place, fence, { course, resume, names }));
  const retried: RetriedQueue[] = [];
  for (const queue of course.retry.filter(({ name }) => !left.includes(name)))
    retried.push(await retryFailed(run, place, queue, course.status));
  await staysDrained(run, place, { status: course.status, names });
  if (retried.length > 0) await verifyServing(run, place);
  return conclude(run, place, course, { retried, left });
}

async function verifyServing(run: Run, place: Place): Promise<void> {
  await verifyHealth(run, place);
  await verifySmoke(run, place);
}

/** Only people know whether somebody paused a queue on purpose. */
async function mistakesOf(run: Run, { askToResume }: Course): Promise<string[]> {
  const mistakes: string[] = [];
  for (const queue of askToResume) {
    const answer = await run.ask(
      `The queue ${queue} is paused, and jobs wait in it. Was it paused by mistake?`,
      ['resume it', { harmless: 'leave it paused' }],
    );
    if (answer === 'resume it') mistakes.push(queue);
  }
  return mistakes;
}

interface Draining {
  course: Course;
  resume: string[];
  names: string[];
}

async function drain(
  run: Run,
  place: Place,
  fence: Fence,
  { course, resume, names }: Draining,
): Promise<void> {
  if (course.scale)
    await run.step('Start more workers', (act) => act.scaleQueueWorkers({ ...place, fence }), {
      kind: 'mutate',
      undo: {
        title: 'As many workers as before',
        back: () =>
          run.step('As many workers as before', (act) => act.restoreQueueWorkers({ ...place, fence }), {
            kind: 'mutate',
            undo: { takesBack: 'Start more workers' },
            describe: ({ detail }) => detail,
          }),
      },
      describe: ({ detail }) => detail,
    });
  for (const queue of resume)
    await run.step(
      `Resume ${queue}`,
      (act) => act.resumeQueue({ ...place, queue, run: runKey(), onlyOwn: false, fence }),
      {
        kind: 'mutate',
        undo: { irreversible: `${queue} was resumed`, unless: ({ changed }) => !changed },
        describe: ({ detail }) => detail,
      },
    );
  const paused = await pauseQueues(run, place, fence, course.pause);
  const watched = { status: course.status, names: names.filter((name) => !course.pause.includes(name)) };
  await untilDrained(run, place, watched);
  if (paused.length > 0) {
    await resumeOwn(run, place, fence, paused);
    await untilDrained(run, place, { status: course.status, names });
  }
  if (course.scale || resume.length > 0 || paused.length > 0) await verifyServing(run, place);
}

async function conclude(
  run: Run,
  place: Place,
  { status, findings }: Course,
  { retried, left }: { retried: RetriedQueue[]; left: string[] },
): Promise<string> {
  const count = retried.reduce((all, one) => all + one.retried, 0);
  run.fact('cause', findings.map(({ queue, cause }) => `${queue.name}: ${cause}`).join(', '));
  run.fact('jobsRetried', count);
  run.fact(
    'jobsDone',
    retried.reduce((all, one) => all + one.done, 0),
  );
  const now = await run.step(
    'Look at the queues again',
    (act) =>
      act.readQueues({
        ...place,
        seen: seenOf(status.queues),
      }),
    {
      describe: ({ queues }) => queuesText(queues),
    },
  );
  const remains = retried.flatMap((one) => remainsText(one, status.patienceMs) ?? []);
  const stays = now.queues.filter(({ name }) => left.includes(name)).map(stillPaused);
  if (remains.length > 0) throw verificationFailed([...remains, ...stays].join('; '));
  const more = stays.length === 0 ? '' : `; ${stays.join('; ')}`;
  return `the queues of ${targetOf(place)} keep their delays; ${countOf(count, 'failed job')} retried${more}`;
}

function stillPaused(queue: QueueStatus): string {
  const waits = findingsOf(queue).some(({ cause }) => cause === 'paused');
  // Failed jobs of it were not retried either.
  const says = waits || queue.recent.failed > 0;
  return queue.paused
    ? `${queue.name} stays paused, as decided${says ? `: ${depthText(queue)}` : ''}`
    : `${queue.name} is not paused any more`;
}

import type { Trial } from '../../../activities/queues/ai/provider';
import { targetOf, type Fence, type Place } from '../../../contract/place';
import { duration, type Run, type TaskCheck } from '../../kit';
import { pauseQueues, resumeOwn } from '../pausing';
import { runKey } from '../retry-failed';
import type { Course } from './course';
import { aloneMs, CAUSE_TEXT, failuresText } from './plan';

export interface Under {
  place: Place;
  fence: Fence;
  course: Course;
}

const SLOWER = 'Have the workers ask less often';
const TASK_EVERY_MS = 60_000;

/** Does away with what makes tasks fail, as far as a run can; returns who generates now, as far as that is known. */
export async function remedy(run: Run, under: Under): Promise<string | undefined> {
  const { course } = under;
  const { way, current, target } = course;
  if (way === 'switch') {
    const tried = await tryOnce(run, under);
    if (tried?.ok !== false) {
      await switchTo(run, under, current!.name, target!.name);
      await resume(run, under, []);
      return target!.name;
    }
    // That was the only call: from here on the status page tells, or a person.
    await waitPaused(run, under, undefined);
    return current!.name;
  }
  if (way !== 'none' && !isSlowed(course)) await waitPaused(run, under, course.trialAt);
  else {
    if (isSlowed(course)) await slowDown(run, under);
    await resume(run, under, []);
  }
  return current?.name;
}

async function tryOnce(run: Run, { place, course: { trialAt } }: Under): Promise<Trial | undefined> {
  if (trialAt === undefined) return undefined;
  const tried = await run.step(
    `Trial call at ${trialAt}`,
    (act) => act.tryAiProvider({ ...place, provider: trialAt }),
    {
      kind: 'long',
      undo: 'read-only',
      describe: ({ detail }) => detail,
    },
  );
  if (!tried.ok) run.note(`Finding: ${trialAt} does not generate`, tried.detail, { failed: true });
  return tried;
}

async function switchTo(run: Run, { place, fence }: Under, from: string, to: string): Promise<void> {
  const title = `Switch to ${to}`;
  await run.step(title, (act) => act.switchAiProvider({ ...place, from, to, fence }), {
    kind: 'mutate',
    undo: {
      title: `Switch back to ${from}`,
      back: () =>
        run.step(
          `Switch back to ${from}`,
          (act) => act.switchAiProvider({ ...place, from: to, to: from, leaveThird: true, fence }),
          { kind: 'mutate', undo: { takesBack: title }, describe: ({ detail }) => detail },
        ),
    },
    describe: ({ detail }) => detail,
  });
}

async function slowDown(run: Run, { place, fence, course }: Under): Promise<void> {
  await run.step(SLOWER, (act) => act.slowAiWorkers({ ...place, fence }), {
    kind: 'mutate',
    undo: { title: 'As often as before', back: () => asBefore(run, { place, fence }) },
    describe: ({ detail }) => detail,
  });
  if (course.current !== undefined) await leaveAlone(run, place, course, 0);
}

export function isSlowed({ way, ai }: Course): boolean {
  return way === 'slower' && ai.canSlow;
}

export async function asBefore(run: Run, { place, fence }: Pick<Under, 'place' | 'fence'>): Promise<void> {
  await run.step('As often as before', (act) => act.restoreAiWorkers({ ...place, fence }), {
    kind: 'mutate',
    undo: { takesBack: SLOWER },
    describe: ({ detail }) => detail,
  });
}

/** Tasks that nobody can do must not use up their attempts. */
async function waitPaused(run: Run, under: Under, trialAt: string | undefined): Promise<void> {
  const { place, fence, course } = under;
  const { queue, cause } = course;
  const paused = await pauseQueues(run, place, fence, queue.paused ? [] : [queue.name]);
  const isWell =
    cause === 'credentials' ? await credentialsMended(run, under) : await waitFor(run, under, trialAt);
  const tried = await tryOnce(run, { ...under, course: { ...course, trialAt } });
  if (tried === undefined ? !isWell : !tried.ok)
    await run.task(
      `${nameOf(course)} of ${targetOf(place)} does not generate yet${tried === undefined ? ', as far as anybody can tell' : `: ${tried.detail}`}. The queue ${queue.name} stays paused until you say that it does.`,
    );
  await resume(run, under, paused);
}

async function credentialsMended(run: Run, { place, course }: Under): Promise<boolean> {
  await run.task(
    `${nameOf(course)} refuses the credentials of ${targetOf(place)}, or its quota is used up (${failuresText(course.ai)}). Put a valid key in place, or raise the quota. The queue ${course.queue.name} is paused until then.${contactOf(course)}`,
  );
  return true;
}

/** Until its page says that it is well; true where that, or a trial call that is still to come, tells. */
async function waitFor(run: Run, { place, course }: Under, trialAt: string | undefined): Promise<boolean> {
  const { cause, queue, current, ai } = course;
  if (cause !== 'rateLimit')
    await run.page(
      `${place.service}: ${CAUSE_TEXT[cause!]} (${nameOf(course)}: ${current?.detail ?? ai.current.detail}). The queue ${queue.name} is paused until it is well.${contactOf(course)}`,
    );
  if (current === undefined) return false;
  const { state, detail } = await leaveAlone(run, place, course, ai.waitMs);
  if (state === 'well') return true;
  if (state === 'unknown') return trialAt !== undefined;
  await run.task(
    `${current.name} is still not well (${detail}) after ${duration(ai.waitMs)}. The queue ${queue.name} of ${targetOf(place)} is paused until it is.${contactOf(course)}`,
    isWellCheck(place, current.name),
  );
  return true;
}

function leaveAlone(run: Run, place: Place, { current, ai }: Course, waitMs: number) {
  const notBeforeMs = Date.now() + aloneMs(ai);
  const untilMs = Math.max(notBeforeMs, Date.now() + waitMs);
  return run.step(
    waitMs === 0 ? `Leave ${current!.name} alone` : `Wait for ${current!.name}`,
    (act) => act.awaitAiProvider({ ...place, provider: current!.name, notBeforeMs, untilMs }),
    { kind: 'long', undo: 'read-only', describe: ({ detail }) => detail },
  );
}

function isWellCheck(place: Place, provider: string): TaskCheck {
  return {
    title: `Is ${provider} well?`,
    everyMs: TASK_EVERY_MS,
    call: async (act) => {
      const { state, detail } = await act.awaitAiProvider({ ...place, provider, notBeforeMs: 0, untilMs: 0 });
      return { ok: state === 'well', detail };
    },
  };
}

/** What this run paused, and what a person has said was paused by mistake. */
async function resume(run: Run, { place, fence, course: { queue } }: Under, paused: string[]): Promise<void> {
  await resumeOwn(run, place, fence, paused);
  if (!queue.paused) return;
  await run.step(
    `Resume ${queue.name}`,
    (act) => act.resumeQueue({ ...place, queue: queue.name, run: runKey(), onlyOwn: false, fence }),
    {
      kind: 'mutate',
      undo: { irreversible: `${queue.name} was resumed`, unless: ({ changed }) => !changed },
      describe: ({ detail }) => detail,
    },
  );
}

const nameOf = ({ current }: Course): string => current?.name ?? 'the provider';

const contactOf = ({ current }: Course): string =>
  current?.contact === undefined ? '' : ` Its support: ${current.contact}.`;

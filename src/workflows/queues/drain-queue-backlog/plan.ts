import type { QueuesStatus, QueueStatus } from '../../../activities/queues/look';
import type { Place } from '../../../contract/place';
import { countOf, duration, type PlanDraft } from '../../kit';
import { findingsOf, queuesIn, unknownOf, type Cause, type Finding } from '../findings';

/** What the run is going to do about what it found. */
export interface Course {
  status: QueuesStatus;
  findings: Finding[];
  scale: boolean;
  /** Nobody works on them, and no command starts workers. */
  workerless: string[];
  askToResume: string[];
  /** Non-critical ones, for as long as critical ones are late. */
  pause: string[];
  retry: QueueStatus[];
}

const MORE_WORKERS: Cause[] = ['no workers', 'growing', 'slow'];

export function courseOf(status: QueuesStatus): Course {
  const findings = status.queues.flatMap(findingsOf);
  const short = findings.filter(({ cause }) => MORE_WORKERS.includes(cause));
  const having = (cause: Cause) => findings.filter((one) => one.cause === cause).map(({ queue }) => queue);
  const criticalIsLate = short.some(({ queue, cause }) => queue.critical && cause !== 'no workers');
  return {
    status,
    findings,
    scale: status.canScale && short.length > 0,
    workerless: status.canScale ? [] : having('no workers').map(({ name }) => name),
    askToResume: having('paused').map(({ name }) => name),
    pause: criticalIsLate
      ? status.queues.filter((one) => !one.critical && !one.paused && isBusy(one)).map(({ name }) => name)
      : [],
    retry: having('failing'),
  };
}

function isBusy({ waiting, active, delayed }: QueueStatus): boolean {
  return waiting + active + delayed > 0;
}

/** The same course has the same text, however far depths have moved meanwhile. */
export function sameCourse(a: Course, b: Course): boolean {
  return keyOf(a) === keyOf(b);
}

function keyOf({ findings, scale, workerless, askToResume, pause, retry }: Course): string {
  const causes = findings.map(({ queue, cause }) => [queue.name, cause]);
  return JSON.stringify([causes, scale, workerless, askToResume, pause, retry.map(({ name }) => name)]);
}

export function planFor(place: Place, course: Course, unchecked: string[]): PlanDraft {
  const { status, findings, scale, workerless, askToResume, pause, retry } = course;
  const on = (queue: string) => `${queuesIn(place)}/${queue}`;
  const why = findings.filter(({ cause }) => MORE_WORKERS.includes(cause)).map(({ detail }) => detail);
  return {
    actions: [
      ...(scale ? [{ action: 'start more workers', target: queuesIn(place), detail: why.join('; ') }] : []),
      ...workerless.map((queue) => ({ action: 'a task for a person: start workers', target: on(queue) })),
      ...askToResume.map((queue) => ({
        action: 'resume, where a person says that it was paused by mistake',
        target: on(queue),
        detail: findings.find((one) => one.queue.name === queue && one.cause === 'paused')!.detail,
      })),
      ...pause.map((queue) => ({ action: 'pause until no job waits for too long', target: on(queue) })),
      ...(findings.some(({ cause }) => cause !== 'failing')
        ? [
            {
              action: 'wait until no job waits for too long',
              target: queuesIn(place),
              detail: `${duration(status.patienceMs)} at most`,
            },
          ]
        : []),
      ...retry.map((queue) => ({
        action: 'retry failed jobs',
        target: on(queue.name),
        count: Math.min(queue.recent.failed, status.maxRetries),
        detail: `${countOf(status.trialJobs, 'job')} of each reason first: ${reasonsOf(queue)}`,
      })),
    ],
    warnings: [
      ...(retry.length > 0
        ? ['what retried jobs do cannot be taken back; a job that fails again is not retried again unasked']
        : []),
      ...retry
        .filter(({ failed, recent }) => failed > recent.failed)
        .map(
          ({ name, failed, recent }) =>
            `${failed - recent.failed} jobs of ${name} failed longer ago, and are left alone`,
        ),
      ...retry
        .filter(({ recent }) => recent.failed > status.maxRetries)
        .map(
          ({ name }) => `more jobs of ${name} have failed than one run retries: start again for the others`,
        ),
      ...(scale
        ? [
            'workers that were added stay where the run succeeds: take them away when they are not needed any more',
          ]
        : []),
      ...(status.canScale ? [] : ['queues.workers is not configured: nobody starts more workers']),
      ...status.queues.flatMap(unknownOf),
      ...unchecked,
    ],
    facts: { findings: findings.map(({ queue, cause }) => `${queue.name}: ${cause}`).join(', ') },
  };
}

function reasonsOf({ failures }: QueueStatus): string {
  return failures.map(({ reason, count }) => `${count} x ${reason}`).join('; ');
}

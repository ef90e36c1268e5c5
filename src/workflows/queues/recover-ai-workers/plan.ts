import type { AiWorkers } from '../../../activities/queues/ai/look';
import type { Place } from '../../../contract/place';
import type { PlannedAction } from '../../../contract/report';
import { countOf, duration, type PlanDraft } from '../../kit';
import { depthText, queuesIn, reasonsText, unknownOf } from '../findings';
import { sumOf, type Cause, type Course } from './course';

export const CAUSE_TEXT: Record<Cause, string> = {
  outage: 'the provider is down or overloaded',
  timeout: 'the provider does not answer in time',
  rateLimit: 'the provider wants fewer requests',
  credentials: 'the provider refuses the credentials, or the quota is used up',
};

/** For how long a provider that has enough is left alone. */
export function aloneMs({ leaveAloneMs, retryAfterMs, waitMs }: AiWorkers): number {
  return Math.min(Math.max(leaveAloneMs, retryAfterMs), waitMs);
}

export function failuresText({ failures }: AiWorkers): string {
  if (failures.length === 0) return 'no task has failed';
  return failures
    .map(
      ({ kind, lately, open, again, reasons }) =>
        `${kind}: ${lately} lately, ${open} open, ${again} failed again after they were put back (${reasonsText({ failures: reasons })})`,
    )
    .join('; ');
}

export function providersText({ providers, current }: AiWorkers): string {
  const who =
    current.name === null ? `not known who generates: ${current.detail}` : `${current.name} generates`;
  return [who, ...providers.map(({ name, state, detail }) => `${name} ${state} (${detail})`)].join('; ');
}

export function planFor(place: Place, course: Course, unchecked: string[]): PlanDraft {
  const { queue, status, open, workerless, bad, cause, way } = course;
  const target = `${queuesIn(place)}/${queue.name}`;
  return {
    actions: [
      ...(queue.paused
        ? [{ action: 'resume, where a person says that it was paused by mistake', target }]
        : []),
      ...(workerless ? [{ action: 'a task for a person: start workers', target }] : []),
      ...remedyOf(course, target),
      ...(open > 0 || cause !== null
        ? [
            {
              action:
                cause === null
                  ? 'put back what failed through the provider'
                  : 'put back what failed through the provider, also what fails until it is over',
              target,
              count: Math.min(open, status.maxRetries),
              detail: `each once, ${countOf(status.trialJobs, 'task')} first`,
            },
          ]
        : []),
      ...(isOnlyMeasured(course)
        ? bad.map(({ detail }) => ({ action: 'a task for a person: find out why', target, detail }))
        : []),
      {
        action: 'wait until no task waits for too long',
        target,
        detail: `${duration(status.patienceMs)} at most; now ${depthText(queue)}`,
      },
    ],
    warnings: [
      ...(open > 0 || cause !== null
        ? ['tasks that are put back cost money again, and what they do cannot be taken back']
        : []),
      ...(way === 'switch' ? [`${course.target!.name} stays the provider until somebody switches back`] : []),
      ...leftAlone(course),
      ...unseenOf(course),
      ...unchecked,
    ],
    facts: { cause: cause ?? 'none', way },
  };
}

/** Numbers are bad, and nothing of the tasks tells why. */
export function isOnlyMeasured({ cause, open, bad }: Course): boolean {
  return cause === null && open === 0 && bad.length > 0;
}

function remedyOf(course: Course, target: string): PlannedAction[] {
  const { ai, way, cause, current, trialAt } = course;
  const name = current?.name ?? 'the provider';
  const detail = cause === null ? undefined : CAUSE_TEXT[cause];
  const trial =
    trialAt === undefined ? [] : [{ action: 'one trial call, which costs money', target: trialAt }];
  const wait = `${duration(ai.waitMs)} at most, then a task for a person`;
  const pause = [
    { action: `pause until ${name} is well`, target, detail },
    ...trial,
    { action: 'resume', target },
  ];
  switch (way) {
    case 'none':
      return [];
    case 'switch':
      return [
        ...trial,
        { action: `switch to ${course.target!.name}`, target, detail: `from ${name}: ${detail}` },
        ...(trialAt === undefined
          ? []
          : [
              {
                action: `where the trial call fails: pause until ${name} is well, call people, and wait`,
                target,
                detail: wait,
              },
            ]),
      ];
    case 'person':
      return [
        pause[0]!,
        { action: 'a task for a person: credentials or quota', target: name, detail },
        ...pause.slice(1),
      ];
    case 'slower':
      return ai.canSlow
        ? [
            { action: 'have the workers ask less often until it is over', target, detail },
            { action: 'leave it alone', target: name, detail: duration(aloneMs(ai)) },
          ]
        : pause;
    case 'wait':
      return [{ action: 'call people, and wait', target: name, detail: wait }, ...pause];
  }
}

/** What failed, and is none of what this run puts back. */
export function leftAlone({ ai, open, status }: Course): string[] {
  const count = (kind: string) => ai.failures.find((one) => one.kind === kind);
  const [input, other] = [count('input'), count('other')];
  const again = sumOf(ai, (one) => one.again);
  const own = (of: typeof input) => (of === undefined ? 0 : of.open + of.again);
  return [
    ...(own(input) > 0
      ? [`${countOf(own(input), 'task')} failed through their own input, and are left alone`]
      : []),
    ...(own(other) > 0
      ? [
          `${countOf(own(other), 'task')} failed for a reason that fits no pattern of aiWorkers.failures, and are left alone: ${reasonsText({ failures: other!.reasons })}`,
        ]
      : []),
    ...(again > 0
      ? [`${countOf(again, 'task')} failed again after they were put back once, and are left to people`]
      : []),
    ...(open > status.maxRetries
      ? ['more tasks have failed than one run puts back: start again for the others']
      : []),
    ...(ai.cut ? ['more tasks have failed than were looked at: only the newest ones are counted here'] : []),
  ];
}

/** What nobody can tell, or looks at: never a silent pass. */
export function unseenOf({ ai, queue, measures, way, trialAt }: Course): string[] {
  return [
    ...(ai.current.name === null ? [`who generates is not known: ${ai.current.detail}`] : []),
    ...ai.providers
      .filter(({ state }) => state === 'unknown')
      .map(({ name, detail }) => `whether ${name} is well is not known: ${detail}`),
    ...(way !== 'none' && way !== 'slower' && trialAt === undefined
      ? ['no trial call is configured there: the first tasks tell whether it generates']
      : []),
    ...(ai.switchOn.length === 0 ? ['aiWorkers.switch is not configured: nobody switches'] : []),
    ...(ai.canSlow ? [] : ['aiWorkers.slower is not configured: at a rate limit the queue is paused']),
    ...(ai.measures.length === 0
      ? ['aiWorkers.measures names none: how long generations take nobody looks at']
      : []),
    ...measures.filter(({ value }) => value === null).map(({ detail }) => detail),
    ...unknownOf(queue),
  ];
}

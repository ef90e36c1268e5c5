import type { Outcome, RunReport } from './types';

export type Tone = 'good' | 'calm' | 'bad' | 'alarm' | 'open';

interface Meaning {
  words: string;
  tone: Tone;
  next: string[];
}

const MEANINGS: Record<Outcome, Meaning> = {
  SUCCEEDED: {
    words: 'it did what it planned and verified it',
    tone: 'good',
    next: ['Nothing. Close the ticket with this report.'],
  },
  NOTHING_TO_DO: {
    words: 'it looked and found nothing to do',
    tone: 'good',
    next: [
      'Nothing. If the symptom is still there, its cause is another one: start the runbook of that symptom.',
    ],
  },
  OBSERVED: {
    words: 'it made a plan and changed nothing',
    tone: 'calm',
    next: [
      'Read the plan. To carry it out, start the same runbook again with mode `propose` and approve it.',
    ],
  },
  CANCELLED: {
    words: 'a person cancelled it before anything was changed',
    tone: 'calm',
    next: ['Nothing was changed. Start it again when it is wanted.'],
  },
  REJECTED: {
    words: 'the plan was refused, or nobody approved it in time',
    tone: 'bad',
    next: [
      'Find out from whoever refused it, or did not answer, what was missing.',
      'Start it again for a new plan: the old approval cannot be used any more.',
    ],
  },
  ROLLED_BACK: {
    words: 'it failed and what it had done was undone',
    tone: 'bad',
    next: [
      'The system is as before: no hurry. Find the failed step in the timeline and correct its cause.',
      'Start it again in mode `observe` first.',
    ],
  },
  FAILED: {
    words: 'it failed before anything was changed',
    tone: 'bad',
    next: ['Nothing was changed. Correct the cause named above, then start it again.'],
  },
  NEEDS_HUMAN: {
    words: 'it could not bring the system back by itself: a person must look now',
    tone: 'alarm',
    next: [
      'Page the owner of the service now. Do not start other runbooks on this target.',
      'Read the last failed and undone steps in the timeline: they say which backup or copy was kept and where.',
      'Keep every backup and copy until the data was checked. Then decide between repair and restore.',
    ],
  },
};

/** What an outcome means in words; undefined is a run that has not ended. */
export function meaningOf(outcome: Outcome | undefined): Meaning {
  return (
    outcome === undefined
      ? { words: 'it has not ended', tone: 'open', next: ['Answer what it waits for, or watch it.'] }
      : MEANINGS[outcome]
  ) as Meaning;
}

/** What a person does next, most urgent first. */
export function nextSteps(report: RunReport): string[] {
  const { next } = meaningOf(report.outcome);
  if (report.outcome === undefined) return [`${next[0]} \`runbooks watch ${report.workflowId}\``];
  return next;
}

export const isOutcome = (value: unknown): value is Outcome => typeof value === 'string' && value in MEANINGS;

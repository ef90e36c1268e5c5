import type { Outcome, RunReport } from '../../contract/report';

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
    words: 'it failed or was cancelled, and what it had done was undone',
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
  PARTIAL: {
    words: 'it did not reach its end, and part of what it changed stays',
    tone: 'alarm',
    next: [
      'Read what was changed and not undone, and look at it: nothing will bring it back by itself.',
      'Decide whether to go on by hand, to put it right, or to start it again: in mode `observe` first.',
    ],
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

type Told = RunReport & { history?: { toldByRun: boolean } };

const OPEN: Meaning = {
  words: 'it has not ended',
  tone: 'open',
  next: ['Answer what it waits for, or watch it.'],
};

const LOOK = ['Read its last steps in the timeline, and look at what they left, before it is started again.'];

/** Of a run that left no report only Temporal's word is known, so nothing may be promised. */
const UNTOLD: Partial<Record<Outcome, Meaning>> = {
  SUCCEEDED: {
    words: 'the workflow completed; it left no report of its own',
    tone: 'good',
    next: ['Nothing, if its result is what was wanted.'],
  },
  CANCELLED: {
    words: 'the workflow was cancelled; whether it had changed anything is not known',
    tone: 'bad',
    next: LOOK,
  },
  FAILED: {
    words: 'the workflow failed; whether it had changed anything is not known',
    tone: 'bad',
    next: LOOK,
  },
};

/** What a report's outcome means in words. */
export function meaningOf({ outcome, history }: Told): Meaning {
  if (outcome === undefined) return OPEN;
  return (history?.toldByRun === false ? UNTOLD[outcome] : undefined) ?? MEANINGS[outcome];
}

/** What a person does next, most urgent first. */
export function nextSteps(report: Told): string[] {
  const { next } = meaningOf(report);
  return report.outcome === undefined ? [`${next[0]} \`runbooks watch ${report.workflowId}\``] : next;
}

export const isOutcome = (value: unknown): value is Outcome => typeof value === 'string' && value in MEANINGS;

import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type {
  EntryStatus,
  Movement,
  Offer,
  RunReport,
  RunStatus,
  TimelineEntry,
  Waiting,
} from '../../contract/report';
import { causeOf } from './failure';
import { renderDetails } from './current-details';
import type { AdmissionNotice } from '../../contract/guard';
import type { Whereabouts } from '../../contract/hosts';
import type { Policy } from '../../contract/policy';
import type { Sender } from './run';

/** A question to a person that stands open. */
export interface Question extends Waiting {
  /** Whether that answer lets something happen, so that not everybody may give it. */
  acts: (verb: string, words: Record<string, string>) => boolean;
  /** Says why an answer cannot be taken, or nothing. Synchronous: it runs in an Update validator. */
  refuse: (verb: string, words: Record<string, string>) => string | undefined;
  answer?: Answer;
}

export interface Answer {
  verb: string;
  by: string;
  at: string;
  choice?: string;
  note?: string;
  /** Fingerprint of the key that signed it. */
  key?: string;
}

/** A place among the runs that nobody started and that work at the same time. */
export interface Place {
  give: () => Promise<void>;
  /** `answered`: a person has said that it may go on. */
  take: (answered: boolean) => Promise<void>;
}

const nothing = () => Promise.resolve();

/** Everything a run knows about itself. One per workflow; handlers and the procedure share it. */
export interface RunState {
  report: RunReport;
  policy?: Policy;
  movement: Movement;
  questions: Question[];
  /** How long at least one stood open, and since when one does. */
  openQuestions: { totalMs: number; since?: number };
  /** Signatures of answers that were taken: each counts once. */
  signatures: Set<string>;
  /** Answers of leases asked for, by target. */
  leases: Map<string, { state: 'queued' | 'granted'; token: number; holder: string }>;
  /** On which host lies what it made or chose. */
  whereabouts: Whereabouts;
  /** Answers of breakers, by target. */
  admissions: Map<string, AdmissionNotice>;
  /** Shards that gave it a place. */
  shards: Set<number>;
  alert: Sender;
  /** Gives its place back while it only waits, and takes one again. */
  place: Place;
  /** It has given its place back: one that it is told of now goes back as well. */
  rests: boolean;
  /** How often it was told that a pause may be over. */
  woken: number;
  /** How often its parent had a place for it again. */
  goOn: number;
  /** Messages of its own that the run takes now, beside answers. */
  offers?: () => Offer[];
  /** Fields of the report that are the runbook's. */
  ownFields: Set<string>;
  /** Markdown of its own. */
  details?: () => string[];
}

// A run with a longer timeline keeps its newest lines; the history has all of them.
const MAX_TIMELINE = 400;

export function createState(runbook: string): RunState {
  const { workflowId, runId } = workflowInfo();
  return {
    movement: 'diagnose',
    questions: [],
    openQuestions: { totalMs: 0 },
    signatures: new Set(),
    leases: new Map(),
    whereabouts: new Map(),
    admissions: new Map(),
    shards: new Set(),
    alert: { repeats: 0, refires: 0 },
    place: { give: nothing, take: nothing },
    rests: false,
    woken: 0,
    goOn: 0,
    ownFields: new Set(),
    report: {
      runbook,
      title: runbook,
      workflowId,
      runId,
      service: '',
      mode: 'observe',
      startedBy: '',
      startedAt: now(),
      summary: 'preparing',
      approvals: [],
      timeline: [],
      facts: {},
    },
  };
}

/** ISO time of the workflow's own clock. */
export function now(): string {
  return new Date(Date.now()).toISOString();
}

export function statusOf(state: RunState): RunStatus {
  const { offers, sections } = shownOf(state);
  const signers = (state.policy?.signers ?? []).map(({ name, fingerprint }) => ({ name, fingerprint }));
  return {
    ...state.report,
    ...(signers.length === 0 ? {} : { signers }),
    ...(offers.length === 0 ? {} : { offers }),
    ...(sections.length === 0 ? {} : { sections }),
    waiting: state.questions
      .filter((question) => question.answer === undefined)
      .map(({ kind, id, question, choices, harmless, mustBeSigned, expiresAt, update }) => ({
        kind,
        id,
        question,
        choices,
        ...(harmless === undefined ? {} : { harmless }),
        ...(mustBeSigned === undefined ? {} : { mustBeSigned }),
        expiresAt,
        update,
      })),
  };
}

/** What the runbook shows of its own. Whatever is wrong with that, the run, its way back and its report go on. */
function shownOf(state: RunState): { offers: Offer[]; sections: string[] } {
  const sections = orFailure(() => state.details?.() ?? []);
  const offers = orFailure(() => state.offers?.() ?? []);
  return {
    offers: offers.shown,
    sections: [...sections.shown, ...sections.failed, ...offers.failed],
  };
}

function orFailure<T>(show: () => T[]): { shown: T[]; failed: string[] } {
  try {
    return { shown: show(), failed: [] };
  } catch (error) {
    return { shown: [], failed: [`This section failed: ${causeOf(error).message}`] };
  }
}

/** Puts the state where operators read it: Current Details in the Temporal UI. */
export function publish(state: RunState): void {
  const { shown } = orFailure(() => [renderDetails(statusOf(state))]);
  setCurrentDetails(shown[0] ?? 'This page failed: see `runbooks report`.');
}

export function startEntry(
  state: RunState,
  title: string,
  status: EntryStatus,
  detail?: string,
): TimelineEntry {
  const entry: TimelineEntry = { title, movement: state.movement, status, startedAt: now() };
  if (detail !== undefined) entry.detail = detail;
  state.report.timeline.push(entry);
  if (state.report.timeline.length > MAX_TIMELINE) state.report.timeline.shift();
  publish(state);
  return entry;
}

export function endEntry(state: RunState, entry: TimelineEntry, status: EntryStatus, detail?: string): void {
  entry.status = status;
  entry.endedAt = now();
  if (detail !== undefined && detail !== '') entry.detail = detail;
  publish(state);
}

export function addNote(
  state: RunState,
  title: string,
  detail?: string,
  status: 'note' | 'failed' = 'note',
): void {
  const entry = startEntry(state, title, status, detail);
  entry.endedAt = entry.startedAt;
}

import { defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import type { RunStatus, TimelineEntry } from '../../contract/report';
import { renderMarkdown } from '../../report/text/markdown';
import type { AdmissionNotice } from '../../contract/guard';
import { heedChild, type ChildRests } from './place-of-parent';
import { refuseAnswer } from './judge';
import { isAlertNotice, isChildRests, isLeaseAnswer, isVerdict } from './shape';
import { need, refused } from './words';
import { addNote, now, publish, statusOf, type Question, type RunState } from './state';
import type { AlertNotice } from '../../contract/alert';

/** What the guard tells a run that asked for a lease. */
export interface LeaseAnswer {
  target: string;
  state: 'queued' | 'granted';
  token: number;
  holder: string;
}

type Words = Record<string, string>;

export const statusQuery = defineQuery<RunStatus>('status');
export const timelineQuery = defineQuery<TimelineEntry[]>('timeline');
export const postmortemQuery = defineQuery<string>('postmortem');
export const leaseSignal = defineSignal<[LeaseAnswer]>('lease');
export const verdictSignal = defineSignal<[AdmissionNotice]>('verdict');
export const wakeSignal = defineSignal<[string?]>('wake');
export const goOnSignal = defineSignal('goOn');
export const childRestsSignal = defineSignal<[ChildRests]>('childRests');
/** Somebody has a schedule start this run. */
export const triggeredSignal = defineSignal<[Words]>('triggered');
export const alertSignal = defineSignal<[AlertNotice]>('alert');

// Updates and not signals: a person wants to hear at once that the answer was refused, and why.
export const approveUpdate = defineUpdate<string, [Words]>('approve');
export const rejectUpdate = defineUpdate<string, [Words]>('reject');
export const decideUpdate = defineUpdate<string, [Words]>('decide');
export const doneUpdate = defineUpdate<string, [Words]>('done');
export const noteUpdate = defineUpdate<string, [Words]>('note');

/** Registers every message handler of a run. Must be called before the first await. */
export function handleMessages(state: RunState): void {
  setHandler(statusQuery, () => statusOf(state), { description: 'What this run does, did and waits for' });
  setHandler(timelineQuery, () => state.report.timeline, { description: 'Every step with its times' });
  setHandler(postmortemQuery, () => renderMarkdown(state.report), { description: 'The report as Markdown' });
  setHandler(leaseSignal, (answer) => {
    if (isLeaseAnswer(answer)) state.leases.set(answer.target, answer);
  });
  setHandler(verdictSignal, async (verdict) => {
    if (isVerdict(verdict)) await hearVerdict(state, verdict);
  });
  setHandler(wakeSignal, () => {
    state.woken += 1;
  });
  setHandler(goOnSignal, () => {
    state.goOn += 1;
  });
  setHandler(childRestsSignal, async (child) => {
    if (isChildRests(child)) await heedChild(state, child);
  });
  setHandler(alertSignal, (notice) => {
    if (isAlertNotice(notice)) hearAlert(state, notice);
  });
  setHandler(triggeredSignal, (words) => {
    const by: unknown = words?.['by'];
    if (typeof by !== 'string' || state.report.triggeredBy !== undefined) return;
    state.report.triggeredBy = by;
    addNote(state, 'Started by hand', `by ${by}, through its schedule`);
  });
  handleAnswer(state, approveUpdate, 'approval', 'plan', 'Approve exactly this plan: {"plan", "by"}');
  handleAnswer(state, rejectUpdate, 'approval', 'plan', 'Refuse the plan: {"plan", "by", "note"?}');
  handleAnswer(state, decideUpdate, 'decision', 'question', 'Choose: {"question", "choice", "by"}');
  handleAnswer(state, doneUpdate, 'task', 'task', 'Say that the work is done: {"task", "by", "note"?}');
  setHandler(
    noteUpdate,
    (words) => {
      addNote(state, `Note by ${words['by']}`, words['text']);
      return 'noted';
    },
    {
      validator: (words) => void need(words, ['text', 'by']),
      description: 'Add to the timeline: {"text", "by"}',
    },
  );
}

/** A verdict, whichever way it comes. */
export async function hearVerdict(state: RunState, verdict: AdmissionNotice): Promise<void> {
  // Two shards may both have had a place; both are given back.
  if (verdict.shard !== undefined) state.shards.add(verdict.shard);
  const granted = state.admissions.get(verdict.target)?.state === 'admitted';
  if (!granted) state.admissions.set(verdict.target, verdict);
  // One that was asked for before, and came late: it may wait for people for days.
  if (verdict.shard !== undefined && state.rests) await state.place.give();
}

const MAX_NEWS = 1_000;

/** Repeats are counted; the first `resolved` counts, and an alert that fires again takes it back. */
function hearAlert(state: RunState, { status, count, at, startsAt = '', news }: AlertNotice): void {
  const { alert } = state;
  if (news !== undefined) {
    alert.news = news.slice(0, MAX_NEWS);
    addNote(state, 'There is more of it', alert.news);
  }
  if (startsAt > (alert.startsAt ?? '')) alert.startsAt = startsAt;
  alert.repeats += count;
  if (alert.repeats > 0) state.report.facts['alertRepeats'] = alert.repeats;
  if (status === 'resolved') {
    if (alert.resolvedAt === undefined) addNote(state, 'The alert is resolved', `says its sender at ${at}`);
    alert.resolvedAt ??= at;
    return;
  }
  if (alert.resolvedAt === undefined) return;
  addNote(state, 'The alert fires again', `says its sender at ${at}`);
  alert.refires += 1;
  delete alert.resolvedAt;
}

function handleAnswer(
  state: RunState,
  update: ReturnType<typeof defineUpdate<string, [Words]>>,
  kind: Question['kind'],
  idField: string,
  description: string,
): void {
  const open = (words: Words): Question => {
    need(words, [idField, 'by']);
    const question = state.questions.find((one) => one.kind === kind && one.id === words[idField]);
    if (question === undefined) throw refused(notWaiting(state, kind, String(words[idField])));
    if (question.answer !== undefined) {
      throw refused(
        `already answered: ${question.answer.verb} by ${question.answer.by} at ${question.answer.at}`,
      );
    }
    return question;
  };
  const validator = (words: Words): void => {
    const problem = refuseAnswer(state, open(words), update.name, words);
    if (problem !== undefined) throw refused(problem);
  };
  const handler = (words: Words): string => {
    // Two Updates can be validated before the first is handled. A signature is of one run ID, which a reset changes: an
    // answer that was taken before it stays taken.
    const question = open(words);
    const { by = '', choice, note, key, signature } = words;
    question.answer = { verb: update.name, by, at: now() };
    if (choice !== undefined) question.answer.choice = choice;
    if (note !== undefined) question.answer.note = note;
    if (key !== undefined) question.answer.key = key;
    if (signature !== undefined) state.signatures.add(signature);
    publish(state);
    return `${update.name} by ${words['by']} taken`;
  };
  setHandler(update, handler, { validator, description });
}

function notWaiting(state: RunState, kind: Question['kind'], id: string): string {
  const open = state.questions.filter((one) => one.kind === kind && one.answer === undefined);
  const wanted = open.map((one) => one.id).join(', ');
  if (open.length === 0) return `this run does not wait for an answer of this kind now (${kind} ${id})`;
  return `"${id}" is not what this run waits for; open now: ${wanted}. If the plan changed, read it again first.`;
}

import { condition, upsertSearchAttributes } from '@temporalio/workflow';
import type { Plan } from '../../contract/report';
import { searchAttributes } from '../../contract/search-attributes';
import type { Choice } from './run';
import { addNote, endEntry, publish, startEntry, type Answer, type Question, type RunState } from './state';

const MAX_PATIENCE_MS = 8 * 3_600_000;

export interface QuestionDraft extends Omit<Question, 'expiresAt' | 'answer' | 'refuse' | 'mustBeSigned'> {
  title: string;
  expiresMs: number;
  /** Ends the waiting without an answer, e.g. because the alert was resolved. */
  until?: () => boolean;
  refuse?: Question['refuse'];
}

/** Tells a rung of the escalation ladder (0 is the first). Best effort. */
export type Tell = (rung: number, text: string) => Promise<void>;

/**
 * Puts a question to people and waits. Goes up the escalation ladder while nobody answers.
 * Returns the answer, or undefined when it expired: an expired question is never a yes.
 */
export async function askPeople(
  state: RunState,
  draft: QuestionDraft,
  tell: Tell,
): Promise<Answer | undefined> {
  const { title, expiresMs, until = () => false, refuse = () => undefined, ...rest } = draft;
  const deadline = Date.now() + expiresMs;
  const expiresAt = new Date(deadline).toISOString();
  const mustBeSigned = state.policy?.proof === 'signature' && mayAct(rest);
  const question: Question = { ...rest, refuse, expiresAt, ...(mustBeSigned ? { mustBeSigned } : {}) };
  state.questions.push(question);
  const summary = state.report.summary;
  state.report.summary = `waiting for ${rest.kind === 'approval' ? 'an approval' : `a ${rest.kind}`}: ${rest.question}`;
  const entry = startEntry(state, title, 'waiting', rest.question);
  const answered = () => question.answer !== undefined || until();
  await state.place.give();
  upsertSearchAttributes([{ key: searchAttributes.waiting, value: rest.kind }]);
  try {
    for (let rung = 0; !answered() && Date.now() < deadline; rung += 1) {
      await tell(rung, rest.question);
      await condition(answered, Math.max(1, Math.min(patienceMs(state, rung), deadline - Date.now())));
    }
  } finally {
    state.questions = state.questions.filter((one) => one !== question);
    state.report.summary = summary;
    upsertSearchAttributes([{ key: searchAttributes.waiting, value: null }]);
    const { answer } = question;
    if (answer === undefined && until()) endEntry(state, entry, 'done', 'no longer asked');
    else if (answer === undefined) endEntry(state, entry, 'failed', `no answer: ${rest.question}`);
    else endEntry(state, entry, 'done', describe(answer));
  }
  // Whoever ends now needs no place for it.
  if (question.answer !== undefined ? question.answer.verb !== 'reject' : until())
    await state.place.take(question.answer !== undefined);
  return question.answer;
}

/** Whether any answer lets something happen. */
function mayAct({ kind, acts, choices = [] }: Pick<Question, 'kind' | 'acts' | 'choices'>): boolean {
  if (kind === 'decision') return choices.some((choice) => acts('decide', { choice }));
  return acts(kind === 'approval' ? 'approve' : 'done', {});
}

/** Past the end of the ladder the last rung is told again at growing distances: it knows already, and histories are finite. */
function patienceMs({ policy }: RunState, rung: number): number {
  const { escalateAfterMs = 15 * 60_000, ladder = [] } = policy ?? {};
  const beyond = Math.max(0, rung - Math.max(0, ladder.length - 1));
  return Math.max(escalateAfterMs, Math.min(escalateAfterMs * 2 ** Math.min(beyond, 10), MAX_PATIENCE_MS));
}

function describe({ verb, by, choice, note, key }: Answer): string {
  const proof = key === undefined ? 'claimed' : `signed by key ${key}`;
  return [`${verb} by ${by} (${proof})`, choice, note]
    .filter((part) => part !== undefined && part !== '')
    .join(': ');
}

/** Puts a choice to people. Undefined when it expired, or when `until` held first. */
export async function askDecision(
  state: RunState,
  draft: Pick<QuestionDraft, 'id' | 'question' | 'expiresMs' | 'until'> & { choices: Choice[] },
  tell: Tell,
): Promise<string | undefined> {
  const { id } = draft;
  const choices = draft.choices.map((one) => (typeof one === 'string' ? one : one.harmless));
  const harmless = draft.choices.flatMap((one) => (typeof one === 'string' ? [] : [one.harmless]));
  const answer = await askPeople(
    state,
    {
      ...draft,
      title: 'Decision',
      kind: 'decision',
      choices,
      ...(harmless.length === 0 ? {} : { harmless }),
      acts: (_, words) => !harmless.includes(words['choice'] ?? ''),
      update: { name: 'decide', argument: { question: id, choice: choices[0] ?? '', by: '<your name>' } },
      refuse: (_, words) =>
        choices.includes(words['choice'] ?? '')
          ? undefined
          : `"choice" must be one of: ${choices.join(', ')}`,
    },
    tell,
  );
  return answer?.choice;
}

/** Asks for an approval of exactly this plan. */
export async function askApproval(
  state: RunState,
  plan: Plan,
  tell: Tell,
  until?: () => boolean,
): Promise<Answer | undefined> {
  const answer = await askPeople(
    state,
    {
      title: `Approval of plan ${plan.hash}`,
      kind: 'approval',
      id: plan.hash,
      question: `Approve plan ${plan.hash}: ${plan.actions.map((one) => `${one.action} on ${one.target}`).join('; ')}?`,
      expiresMs: state.policy?.approvalExpiresMs ?? 4 * 3_600_000,
      until,
      update: { name: 'approve', argument: { plan: plan.hash, by: '<your name>' } },
      acts: (verb) => verb !== 'reject',
    },
    tell,
  );
  if (answer?.verb === 'approve') {
    state.report.approvals.push({
      plan: plan.hash,
      by: answer.by,
      at: answer.at,
      ...(answer.note ? { note: answer.note } : {}),
      ...(answer.key === undefined ? {} : { key: answer.key }),
    });
    publish(state);
  }
  return answer;
}

export function noteVoid(state: RunState, before: Plan, after: Plan): void {
  const approved = state.report.approvals.some(({ plan }) => plan === before.hash);
  addNote(
    state,
    `${approved ? 'Approval of plan' : 'Plan'} ${before.hash} is void`,
    `the facts changed; the plan is now ${after.hash}`,
  );
}

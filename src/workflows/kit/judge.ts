import { workflowInfo } from '@temporalio/workflow';
import { answerCommands } from '../../contract/answer-commands';
import { isSameName } from '../../contract/answer';
import { claimsProof, keysOf, refuseProof } from './proof';
import type { Question, RunState } from './state';

type Words = Record<string, string>;

/**
 * Why an answer to an open question cannot be taken, or nothing: the one place where that is decided. What lets something
 * happen is for approvers and under four eyes, and signed where that is demanded; what stops is for anybody.
 */
export function refuseAnswer(
  state: RunState,
  question: Question,
  verb: string,
  words: Words,
): string | undefined {
  const problem = refuseLate(question) ?? question.refuse(verb, words);
  if (problem !== undefined) return problem;
  const acts = question.acts(verb, words);
  return (
    (acts ? refuseName(state, words['by'] ?? '') : undefined) ??
    refuseSignature(state, question, verb, words, acts)
  );
}

/** The timer may be late, or come together with the answer: what counts is the time. */
export function refuseLate({ expiresAt }: Question): string | undefined {
  return Date.now() < Date.parse(expiresAt) ? undefined : `too late: it could be answered until ${expiresAt}`;
}

function refuseName({ policy, report }: RunState, by: string): string | undefined {
  if (policy === undefined) return 'this run is still preparing';
  if (policy.fourEyes && isSameName(by, report.startedBy))
    return `four eyes: ${by} started this run, so this is for somebody else to say`;
  if (policy.fourEyes && report.triggeredBy !== undefined && isSameName(by, report.triggeredBy))
    return `four eyes: ${by} triggered the schedule, so this is for somebody else to say`;
  if (policy.approvers.length > 0 && !policy.approvers.some((one) => isSameName(one, by)))
    return `${by} is not among the approvers of ${policy.service}: ${policy.approvers.join(', ')}`;
  return undefined;
}

function refuseSignature(
  state: RunState,
  question: Question,
  verb: string,
  words: Words,
  acts: boolean,
): string | undefined {
  const { signers = [], proof = 'none' } = state.policy ?? {};
  const { by = '', choice, note } = words;
  const { namespace, workflowId, runId } = workflowInfo();
  if (claimsProof(words)) {
    const said = { namespace, workflowId, runId, verb, subject: question.id, choice, note, by };
    return refuseProof({ said, words, keys: signers, taken: state.signatures, nowMs: Date.now() });
  }
  if (!acts || proof !== 'signature') return undefined;
  const command = answerCommands(workflowId, {
    ...question,
    ...(choice === undefined ? {} : { choices: [choice] }),
  })[0];
  return `this must be signed with a key of ${by} (${keysOf(signers, by)}): \`${command}\` does that`;
}

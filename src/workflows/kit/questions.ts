import { Stop } from './failure';
import { askPeople, type Tell } from './people';
import { hashPlan } from './plan';
import type { Policy } from './policy';
import type { RunState } from './state';
import type { Call, Steps, Verdict } from './steps';

/** What only people can decide or do. */
export function createQuestions(state: RunState, policy: Policy, tell: Tell, step: Steps['step']) {
  /** A decision only a person can take. Expiry throws: it is never a yes. */
  async function ask(question: string, choices: string[]): Promise<string> {
    const id = hashPlan({ actions: [], facts: { question, asked: state.report.timeline.length } }).hash.slice(
      0,
      6,
    );
    const answer = await askPeople(
      state,
      {
        title: 'Decision',
        kind: 'decision',
        id,
        question,
        choices,
        expiresMs: policy.approvalExpiresMs,
        update: { name: 'decide', argument: { question: id, choice: choices[0] ?? '', by: '<your name>' } },
        refuse: (_, words) =>
          choices.includes(words['choice'] ?? '')
            ? undefined
            : `"choice" must be one of: ${choices.join(', ')}`,
      },
      tell,
    );
    if (answer?.choice === undefined) throw new Stop('REJECTED', `nobody decided in time: ${question}`);
    return answer.choice;
  }

  /** Work only a person can do. With `check`, the work counts as done when it holds. */
  async function task(instructions: string, check?: { title: string; call: Call<Verdict> }): Promise<void> {
    for (let round = 1; ; round += 1) {
      const id = `task-${state.report.timeline.length}`;
      const answer = await askPeople(
        state,
        {
          title: 'Task for a person',
          kind: 'task',
          id,
          question: instructions,
          expiresMs: policy.humanWaitMs,
          update: { name: 'done', argument: { task: id, by: '<your name>' } },
        },
        tell,
      );
      if (answer === undefined) throw new Stop('REJECTED', `nobody did it in time: ${instructions}`);
      if (check === undefined) return;
      const { ok, detail } = await step(check.title, check.call, { describe: (verdict) => verdict.detail });
      if (ok) return;
      instructions = `Still not right (${detail}), round ${round + 1}: ${instructions}`;
    }
  }

  return { ask, task };
}

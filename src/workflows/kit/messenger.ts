import { CancellationScope } from '@temporalio/workflow';
import { causeOf } from './failure';
import type { Tell } from './people';
import type { Policy } from './policy';
import { activitiesFor } from './presets';
import { addNote, type RunState } from './state';

/** Messages to people who do not look at the run. */
export function createMessenger(state: RunState, policy: Policy) {
  /** A status message. Best effort: its failure is on the timeline and never fails a run. */
  async function announce(text: string, to?: { rung?: string }): Promise<void> {
    const { workflowId, service, title } = state.report;
    try {
      const message = { service, text, workflowId, title, rung: to?.rung ?? null };
      // A cancellation between the work and the word that it is done must not undo the work.
      const { told, problems } = await CancellationScope.nonCancellable(() =>
        activitiesFor('read', 'Announce').announce(message),
      );
      if (problems.length > 0) addNote(state, 'A message did not arrive', problems.join('; '));
      if (to?.rung !== undefined && told.length === 0)
        addNote(state, `Nobody could be told at ${to.rung}`, text);
    } catch (error) {
      addNote(state, 'A message did not arrive', causeOf(error).message);
    }
  }

  /** Tells a rung of the escalation ladder; past its end the last one again. */
  const tell: Tell = async (rung, text) => {
    const name = policy.ladder[Math.min(rung, policy.ladder.length - 1)];
    await announce(text, name === undefined ? undefined : { rung: name });
  };

  return { announce, tell };
}

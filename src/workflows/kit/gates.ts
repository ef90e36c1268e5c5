import { ApplicationFailure } from '@temporalio/workflow';
import type { Plan } from '../../contract/report';
import { Stop } from './failure';
import { noteKillSwitch, passKillSwitch } from './switch';
import { askApproval, noteVoid, type Tell } from './people';
import { exactly, hashPlan, type PlanDraft } from './plan';
import type { Policy } from '../../contract/policy';
import { addNote, publish, type RunState } from './state';
import type { Steps } from './steps';

const MAX_REPLANS = 5;
/** A plan that had to wait longer than this is made again before it is carried out. */
const FRESH_MS = 60_000;

/** Between knowing and doing: the plan, and who lets it happen. */
export function createGates(state: RunState, policy: Policy, tell: Tell, within: Steps['within']) {
  /** Records what is going to happen. In mode `observe` the run ends here, having changed nothing. */
  async function plan(draft: PlanDraft, { alsoWhilePaused = false } = {}): Promise<Plan> {
    state.report.plan = hashPlan(draft);
    state.movement = 'plan';
    addNote(state, `Plan ${state.report.plan.hash}`, `${draft.actions.length} actions`);
    if (policy.mode === 'observe')
      throw new Stop('OBSERVED', `plan ${state.report.plan.hash} was not carried out`);
    await (alsoWhilePaused ? noteKillSwitch(state) : passKillSwitch(state, 'the plan'));
    state.movement = 'act';
    return state.report.plan;
  }

  /**
   * Lets the run act on exactly this plan. After an approval, or a pause, the plan is made again: if the facts changed
   * meanwhile, the approval is void and the new plan is asked for. An alert that is resolved while the plan waits has it
   * made again at once: `make` ends the run with `nothingToDo` if the symptom is really gone.
   */
  async function gate(make: () => Promise<PlanDraft> | PlanDraft): Promise<Plan> {
    return within('gate', async () => {
      let wanted = exactly(await make());
      for (let round = 0; round < MAX_REPLANS; round += 1) {
        const madeAt = Date.now();
        const { plan } = wanted;
        state.report.plan = plan;
        publish(state);
        if (policy.mode === 'observe') throw new Stop('OBSERVED', `plan ${plan.hash} was not carried out`);
        const approved = policy.mode !== 'propose' || (await needApproval(plan));
        if (!approved) {
          wanted = exactly(await make());
          continue;
        }
        await passKillSwitch(state, 'the gate');
        if (policy.mode === 'auto' && Date.now() - madeAt < FRESH_MS) return plan;
        const again = exactly(await make());
        if (again.text === wanted.text) return plan;
        noteVoid(state, plan, again.plan);
        wanted = again;
      }
      throw ApplicationFailure.nonRetryable(
        `the facts changed ${MAX_REPLANS} times while the plan waited`,
        'PlanKeepsChanging',
      );
    });
  }

  /** False: the alert was resolved before anybody answered. */
  async function needApproval(plan: Plan): Promise<boolean> {
    const heardBefore = state.alert.resolvedAt;
    const resolved = () => state.alert.resolvedAt !== undefined && state.alert.resolvedAt !== heardBefore;
    const answer = await askApproval(state, plan, tell, resolved);
    if (answer === undefined && resolved()) return false;
    if (answer === undefined) throw new Stop('REJECTED', `nobody approved plan ${plan.hash} in time`);
    if (answer.verb !== 'reject') return true;
    const why = answer.note === undefined ? '' : `: ${answer.note}`;
    throw new Stop('REJECTED', `${answer.by} rejected plan ${plan.hash}${why}`);
  }

  return { plan, gate };
}

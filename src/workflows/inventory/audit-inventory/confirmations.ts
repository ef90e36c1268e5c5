import { ApplicationFailure } from '@temporalio/workflow';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import type { Run } from '../../kit';
import { peopleText, willStop, type Look } from './plan';

const STOP = 'Stop confirmations';
const RESUME = 'Resume confirmations';
const LOOK_EVERY_MS = 15_000;

type Units = Pick<Look['audit'], 'forPeople' | 'named' | 'rebuild' | 'sample'>;

/** Confirmations while counters are rebuilt. */
export interface Stopped {
  /** Once all is well; asks first where units are sold too often. Says so where they stay stopped. */
  resume(units: Units): Promise<string | undefined>;
}

/** Stops them, where the plan says so; whatever becomes of the run, they are resumed, unless a person says no. */
export async function stopConfirmations(run: Run, place: Place, look: Look, fence: Fence): Promise<Stopped> {
  if (look.confirmations.stopped === true) return leftToThem;
  if (!willStop(look)) return { resume: () => Promise.resolve(undefined) };
  const { watched, askMinutes } = look.confirmations;
  if (watched && (await areStopped(run, place))) return leftToThem;
  const at = { ...place, fence };
  let state: 'stopped' | 'resumed' | 'kept' = 'stopped';

  async function resume(): Promise<void> {
    if (state === 'resumed') return;
    if (state === 'kept') return run.note(`${RESUME}: not done`, KEPT);
    await run.step(RESUME, (act) => act.resumeConfirmations(at), {
      kind: 'mutate',
      undo: { takesBack: STOP },
      describe: ({ detail }) => detail,
    });
    if (watched) await mustBe(run, place, false);
    state = 'resumed';
  }

  await run.step(STOP, (act) => act.stopConfirmations(at), {
    kind: 'mutate',
    undo: {
      title: RESUME,
      back: resume,
      offer: () =>
        Promise.resolve(
          state === 'stopped' ? `Confirmations of ${targetOf(place)} are stopped, perhaps` : undefined,
        ),
    },
    describe: ({ detail }) => detail,
  });
  if (watched) await mustBe(run, place, true);

  return {
    resume: async (units) => {
      if (units.named.some(({ over }) => over) && (await staysStopped(run, place, askMinutes, units))) {
        state = 'kept';
        // What becomes of the run later, that stays, and its report says so.
        await run.step('Leave confirmations stopped', (act) => act.readConfirmations(place), {
          kind: 'mutate',
          undo: { irreversible: KEPT },
          describe: ({ detail }) => detail,
        });
        return KEPT;
      }
      await resume();
      return undefined;
    },
  };
}

const KEPT = 'confirmations stay stopped, as a person decided';
const leftToThem: Stopped = {
  resume: () => Promise.resolve('confirmations stay stopped, as somebody else had stopped them before'),
};

/** Since the plan somebody may have done it. */
async function areStopped(run: Run, place: Place): Promise<boolean> {
  const { stopped } = await run.step(
    'Are confirmations still taken?',
    (act) => act.readConfirmations(place),
    { describe: ({ detail }) => detail },
  );
  return stopped === true;
}

/** Throws where the source says otherwise, or says nothing: what is not known is not stopped. */
async function mustBe(run: Run, place: Place, wanted: boolean): Promise<void> {
  const title = wanted ? 'Confirmations have stopped' : 'Confirmations are taken';
  await run.step(
    title,
    async (act) => {
      const { stopped, detail } = await act.readConfirmations(place);
      if (stopped === wanted) return detail;
      throw ApplicationFailure.nonRetryable(
        `Confirmations of ${targetOf(place)} are not ${wanted ? 'stopped' : 'taken'} though they were ${wanted ? 'stopped' : 'resumed'}: ${detail}. Look at inventory.confirmations and at the application.`,
        'ConfirmationsNotAsWanted',
      );
    },
    { describe: (detail) => detail },
  );
}

/** Silence is a no: nothing stays off because nobody was there. */
async function staysStopped(run: Run, place: Place, askMinutes: number, units: Units): Promise<boolean> {
  const patienceMs = Math.min(askMinutes * 60_000, run.policy.approvalExpiresMs / 2);
  const deadline = Date.now() + patienceMs;
  const answer = await run.askUnless(
    {
      title: 'Is nothing sold too often any more?',
      everyMs: Math.min(LOOK_EVERY_MS, patienceMs),
      call: async (act) => {
        if (Date.now() >= deadline) return { ok: true, detail: 'nobody has answered in time' };
        const { named } = await act.compareInventory({ ...place, among: units.forPeople });
        return { ok: !named.some(({ over }) => over), detail: 'looked again' };
      },
    },
    `Confirmations of ${targetOf(place)} are stopped, and units are sold too often: ${peopleText(units)}. Resume confirmations? Without an answer they are resumed soon.`,
    ['resume', { harmless: 'keep stopped' }],
  );
  return answer === 'keep stopped';
}

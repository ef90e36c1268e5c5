import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { causeOf, type Run } from '../../kit';
import { untilSettled } from '../../security/until-settled';
import { peopleText, willStop, type Look } from './plan';

const STOP = 'Stop confirmations';
const RESUME = 'Resume confirmations';
const LOOK_EVERY_MS = 15_000;

type Units = Pick<Look['audit'], 'forPeople' | 'named' | 'rebuild' | 'sample'>;

/** Confirmations while counters are rebuilt. */
export interface Stopped {
  /** Once all is well; asks first where units are sold too often. Says so where they stay stopped. */
  resume(units: Units): Promise<string | undefined>;
  /**
   * Where the counters cannot be put back: a person may take hours over that, and nothing is sold until then. Returns that
   * problem, and says where they stay stopped as well.
   */
  resumeDespite(problem: unknown): Promise<unknown>;
}

/** Stops them, where the plan says so; whatever becomes of the run, they are resumed, unless a person says no. */
export async function stopConfirmations(run: Run, place: Place, look: Look, fence: Fence): Promise<Stopped> {
  if (look.confirmations.stopped === true) return leftAlone(LEFT_TO_THEM);
  if (!willStop(look)) return leftAlone(undefined);
  const { watched, askMinutes, settleMs, resumeByHand } = look.confirmations;
  if (watched && (await areStopped(run, place))) return leftAlone(LEFT_TO_THEM);
  const at = { ...place, fence };
  const kept = `${KEPT}; to resume them: ${resumeByHand}`;
  let state: 'stopped' | 'resumed' | 'kept' = 'stopped';

  /** Says how people do it where it fails. */
  async function resume(): Promise<void> {
    if (state === 'resumed') return;
    if (state === 'kept') return run.note(`${RESUME}: not done`, kept);
    try {
      await run.step(RESUME, (act) => act.resumeConfirmations(at), {
        kind: 'mutate',
        undo: { takesBack: STOP },
        describe: ({ detail }) => detail,
      });
      if (watched) await mustBe(run, place, { wanted: false, settleMs });
      state = 'resumed';
    } catch (error) {
      if (isCancellation(error)) throw error;
      throw ApplicationFailure.nonRetryable(
        `confirmations of ${targetOf(place)} may still be stopped, and then nothing is sold: ${messageOf(error)}. Resume them by hand: ${resumeByHand}`,
        'ConfirmationsStopped',
      );
    }
  }

  /** The counters are right by then: to put them back because of this would make it worse. */
  async function resumeOrCall(): Promise<void> {
    try {
      await resume();
    } catch (error) {
      if (isCancellation(error)) throw error;
      const text = `${messageOf(error)}. The counters are rebuilt, and stay so.`;
      await run.page(`${place.service}: ${text}`);
      await byHand(run, place, `${text} Say done when they are taken again.`);
      state = 'resumed';
    }
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
  if (watched) await mustBe(run, place, { wanted: true, settleMs });

  return {
    resume: async (units) => {
      if (units.named.some(({ over }) => over) && (await staysStopped(run, place, askMinutes, units))) {
        state = 'kept';
        // What becomes of the run later, that stays, and its report says so.
        await run.step('Leave confirmations stopped', (act) => act.readConfirmations(place), {
          kind: 'mutate',
          undo: { irreversible: kept },
          describe: ({ detail }) => detail,
        });
        return kept;
      }
      await resumeOrCall();
      return undefined;
    },
    resumeDespite: async (problem) => {
      try {
        await resume();
        return state === 'kept' ? both(problem, kept) : problem;
      } catch (error) {
        if (isCancellation(error)) throw error;
        return both(problem, messageOf(error));
      }
    },
  };
}

const KEPT = 'confirmations stay stopped, as a person decided';
const LEFT_TO_THEM = 'confirmations stay stopped, as somebody else had stopped them before';

/** This run has not stopped them. */
function leftAlone(why: string | undefined): Stopped {
  return { resume: () => Promise.resolve(why), resumeDespite: (problem) => Promise.resolve(problem) };
}

function both(problem: unknown, text: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`${messageOf(problem)}; ${text}`, 'ConfirmationsStopped');
}

function messageOf(error: unknown): string {
  return causeOf(error).message.replace(/\.$/, '');
}

/** Since the plan somebody may have done it. Throws where nobody can tell: whether they were stopped, or came back, would stay unknown. */
async function areStopped(run: Run, place: Place): Promise<boolean> {
  const { stopped, detail } = await run.step(
    'Are confirmations still taken?',
    (act) => act.readConfirmations(place),
    { describe: (found) => found.detail },
  );
  if (stopped !== null) return stopped;
  throw ApplicationFailure.nonRetryable(
    `Whether confirmations of ${targetOf(place)} are taken is ${detail}. Nothing was changed. Correct inventory.confirmations.state or what it asks, then start again.`,
    'ConfirmationsUnknown',
  );
}

/** Throws where the source says otherwise, or says nothing: what is not known is not stopped. */
async function mustBe(
  run: Run,
  place: Place,
  { wanted, settleMs }: { wanted: boolean; settleMs: number },
): Promise<void> {
  const title = wanted ? 'Confirmations have stopped' : 'Confirmations are taken';
  await run.step(
    title,
    async (act) => {
      const { stopped, detail } = await untilSettled(
        () => act.readConfirmations(place),
        (now) => now.stopped === wanted,
        settleMs,
      );
      if (stopped === wanted) return detail;
      throw ApplicationFailure.nonRetryable(
        `Confirmations of ${targetOf(place)} are not ${wanted ? 'stopped' : 'taken'} though they were ${wanted ? 'stopped' : 'resumed'}: ${detail}. Look at inventory.confirmations and at the application.`,
        'ConfirmationsNotAsWanted',
      );
    },
    { describe: (detail) => detail },
  );
}

/** However long it takes: nobody else may act on the counters meanwhile. Where the source cannot say, a person can. */
async function byHand(run: Run, place: Place, text: string): Promise<void> {
  for (let done = false; !done;) {
    try {
      await run.task(text, {
        title: 'Are confirmations taken again?',
        call: async (act) => {
          const { stopped, detail } = await act.readConfirmations(place);
          return { ok: stopped !== true, detail };
        },
      });
      done = true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      run.note('Confirmations are not resumed yet', messageOf(error), { failed: true });
    }
  }
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

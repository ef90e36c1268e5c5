import { ApplicationFailure, sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { JudgedPayment, Refund } from '../../../activities/payments/judge';
import type { PaymentFacts } from '../../../activities/payments/reconciliation';
import { RECORD_STEP } from '../../../contract/payments';
import { type Place, targetOf } from '../../../contract/place';
import { leftText, repairKey } from '../../bookings/take-back';
import type { Run } from '../../kit';
import { correctionOf } from './plan';

/** Longer each time: each look is in the history of the run, and a provider may be given an hour. */
const FIRST_LOOK_MS = 2_000;
const LOOK_EVERY_MS = 60_000;

/**
 * Gives money back that was taken twice, and writes it down when the provider shows it. Returns whether this run may have
 * sent it: somebody else may have been faster.
 */
export async function refundPayment(
  run: Run,
  place: Place,
  { booking, settleMs }: PaymentFacts,
  refund: Refund,
): Promise<boolean> {
  const { payment, provider, money } = refund;
  const target = targetOf(place);
  const asked = { ...place, booking, refund };
  const { refused, sent } = await run.exclusively(target, (fence) =>
    run.step(`Refund payment ${payment}`, (act) => act.refundPayment({ ...asked, fence }), {
      kind: 'mutate',
      undo: {
        // Whether it comes to anything only shows afterwards.
        irreversible: `the refund of payment ${payment}, ${money}, was sent to ${provider}`,
        unless: (result) => (result.sent === 'unknown' ? result.sent : !result.sent),
      },
      describe: ({ detail }) => detail,
    }),
  );
  if (refused !== null)
    throw ApplicationFailure.nonRetryable(
      sent === 'unknown'
        ? `whether payment ${payment} was refunded is not known, an attempt was lost: ${refused}. Look at ${provider}, then start again`
        : `payment ${payment} was not refunded: ${refused}. Start again, and it is looked at anew`,
      'ChangedSince',
    );
  const shows = await run.step(
    `Does ${provider} show the refund?`,
    (act) => untilShown(act, asked, settleMs),
    {
      describe: ({ detail }) => detail,
    },
  );
  if (!shows.refunded)
    await run.task(
      `The refund of payment ${payment} of ${target}, ${money}, was sent, and ${provider} does not show it yet (${shows.detail}). Look there what became of it. This run goes on by itself when it shows.`,
      {
        title: `Does ${provider} show the refund?`,
        everyMs: 60_000,
        call: async (act) => {
          const { refunded, detail } = await act.readRefund(asked);
          return { ok: refunded, detail };
        },
      },
    );
  const recorded = await run.attempt(() => record(run, place, payment));
  // The customer hears of the money all the same, and the run does not end well.
  if (!recorded.ok)
    run.note(`The refund of payment ${payment} is not recorded`, recorded.why, { failed: true });
  return sent !== false;
}

function notRecordable(one: JudgedPayment | undefined): string {
  if (one === undefined) return 'it is gone';
  return 'why' in one.verdict ? one.verdict.why : `it is ${one.word}`;
}

async function untilShown(
  act: Activities,
  asked: Parameters<Activities['readRefund']>[0],
  settleMs: number,
): ReturnType<Activities['readRefund']> {
  const deadline = Date.now() + settleMs;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(LOOK_EVERY_MS, pauseMs * 2)) {
    const shows = await act.readRefund(asked);
    if (shows.refunded || Date.now() >= deadline) return shows;
    await sleep(Math.min(pauseMs, Math.max(1, deadline - Date.now())));
  }
}

/** What is true stays: nothing takes this back. The application may have heard of it by itself. */
async function record(run: Run, place: Place, payment: string): Promise<void> {
  await run.exclusively(targetOf(place), async (fence) => {
    await run.step(
      `Record the refund of payment ${payment}`,
      async (act) => {
        const { payments } = await act.findPayments({ ...place, payment });
        const [one] = payments.filter(({ id }) => id === payment);
        const corrections = one === undefined ? [] : correctionOf(one);
        const left =
          one?.state === 'refunded' ? [] : [{ unit: `payment ${payment}`, why: notRecordable(one) }];
        if (corrections.length === 0) return { done: 0, left };
        const step = { ...place, run: repairKey(), step: RECORD_STEP, fence };
        return act.correctPayments({ ...step, corrections });
      },
      {
        kind: 'mutate',
        undo: 'atomic',
        describe: ({ done, left }) =>
          left.length > 0 ? leftText(left) : done > 0 ? 'recorded' : 'the application has it already',
      },
    );
    await run.verify(
      `The application shows the refund of payment ${payment}`,
      (act) => act.findPayments({ ...place, payment }),
      ({ payments }) => {
        const one = payments.find(({ id }) => id === payment);
        return { ok: one?.state === 'refunded', detail: `it is ${one?.word ?? 'gone'}` };
      },
    );
  });
}

import type { Finding } from '../../../activities/payments/judge';
import type { PaymentFacts } from '../../../activities/payments/reconciliation';
import type { Subject } from '../../../activities/payments/rows';
import { type Place, targetOf } from '../../../contract/place';
import type { Run } from '../../kit';
import { correctionOf, correctionText, factsText, findingText, indexIsTask } from './plan';

/** What only people can do, and what is still not well: no success. */
export async function endWell(
  run: Run,
  place: Place,
  subject: Subject,
  facts: PaymentFacts,
  tasks: Finding[],
): Promise<void> {
  await explain(
    run,
    facts,
    tasks.filter(({ shows }) => !shows),
  );
  await mend(
    run,
    place,
    subject,
    facts,
    tasks.filter(({ shows }) => shows),
  );
  if (indexIsTask(facts)) await buildIndex(run, place, facts);
  await run.verify(
    'No payment is left to correct',
    (act) => act.findPayments({ ...place, ...subject }),
    (now) => ({ ok: now.payments.flatMap(correctionOf).length === 0, detail: factsText(now) }),
  );
}

/** Nothing shows that it is done: an approver's word counts. */
async function explain(run: Run, { booking }: PaymentFacts, tasks: Finding[]): Promise<void> {
  if (tasks.length === 0) return;
  await run.task(
    `Nobody but a person can tell what is right with the payments of booking ${booking}: ${tasks.map(findingText).join('; ')}. Look at the provider and at the application, put right what is wrong by your policy, and say what you found.`,
  );
}

async function mend(
  run: Run,
  place: Place,
  subject: Subject,
  { booking }: PaymentFacts,
  tasks: Finding[],
): Promise<void> {
  if (tasks.length === 0) return;
  const named = new Set(tasks.map(({ payment }) => payment));
  await run.task(
    `No rule allows this run to put the payments of booking ${booking} right: ${tasks.map(findingText).join('; ')}. Refund or adjust them by your policy. This run goes on by itself when application and provider agree.`,
    {
      title: 'Do application and provider agree?',
      everyMs: 60_000,
      call: async (act) => {
        const now = await act.findPayments({ ...place, ...subject });
        const open = [
          ...now.payments
            .filter(({ id }) => named.has(id))
            .flatMap(correctionOf)
            .map((one) => `not yet recorded: ${correctionText(one)}`),
          ...now.findings.filter(({ payment, shows }) => shows && named.has(payment)).map(findingText),
          ...now.refunds
            .filter(({ payment, provider }) => named.has(payment) && !now.canRefund.includes(provider))
            .map(({ payment, money }) => `${money} of payment ${payment} is still taken twice`),
        ];
        return { ok: open.length === 0, detail: open.length === 0 ? factsText(now) : open.join('; ') };
      },
    },
  );
}

async function buildIndex(run: Run, place: Place, { index }: PaymentFacts): Promise<void> {
  await run.task(
    `In ${targetOf(place)}, ${index.detail}. Build one: ${index.statement}. Look first whether hashes are there twice.`,
    {
      title: 'Is the index of webhooks there?',
      everyMs: 60_000,
      call: async (act) => {
        const { state, detail } = await act.readWebhookIndex(place);
        return { ok: state === 'present', detail };
      },
    },
  );
}

import type { Delivery, Followed, Traced, WebhookStatus } from '../../../activities/delivery/webhooks';
import { targetOf, type Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { uncheckedOf } from '../../database/checks';
import { countOf, runbook, verificationFailed, type Run } from '../../kit';
import type { replayWebhookDeliveriesCard } from './card';
import { drain, follow, followedText, triedOf, type Drained } from './drain';
import { endpointsMended } from './people';
import { deliveriesText, planFor, statusText, targetsText } from './plan';

/** How often people mend something before the run gives up. */
const MAX_CYCLES = 3;

/** Has the application send failed webhooks again, until each is taken or given up. */
export const replayWebhookDeliveries = runbook<typeof replayWebhookDeliveriesCard>(
  'replayWebhookDeliveries',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    const status = await look(run, place);
    const traced = status.deliveries.map(({ id, attempts }) => ({ id, attempts }));
    run.fact('failedBefore', status.failed);
    const unchecked = await uncheckedOf(run, place);
    let before: Followed | undefined;
    await run.gate(async () => {
      // What failed since is none of this plan; what is over by now makes it no other plan.
      if (before !== undefined) before = await stillFailing(run, place, traced);
      before ??= { ...NOTHING, failed: status.deliveries, backlog: status.failed + status.waiting };
      return planFor(place, status, unchecked);
    });

    let drained: Drained | undefined;
    for (let cycle = 1; cycle <= MAX_CYCLES; cycle += 1) {
      const from: Followed = drained ?? before!;
      drained = await run.exclusively(applicationIn(place), (fence) =>
        drain(run, place, fence, { status, traced, before: from }),
      );
      if (drained.failed.length === 0) return conclude(run, place, status, drained, traced);
      await mustSend(run, place, { status, traced, drained, backlog: before!.backlog });
      await endpointsMended(run, place, { status, drained, tried: triedOf(drained.failed, traced) });
      drained = { ...drained, ...(await follow(run, place, traced)) };
    }
    return run.needsHuman(
      `${deliveriesText(drained!.failed.length)} of ${targetOf(place)} still fail, also after people looked ${countOf(MAX_CYCLES, 'time')}: ${targetsText(drained!.failed)}`,
    );
  },
);

const NOTHING: Followed = { succeeded: 0, terminal: [], failed: [], gone: 0, attempts: 0, backlog: 0 };

/** Ends the run where nothing has failed. */
async function look(run: Run, place: Place): Promise<WebhookStatus> {
  const status = await run.step('Read the deliveries', (act) => act.readWebhooks(place), {
    kind: 'long',
    undo: 'read-only',
    describe: statusText,
  });
  if (status.failed > 0) return status;
  return run.nothingToDo(`no delivery of ${targetOf(place)} has failed: ${statusText(status)}`);
}

async function stillFailing(run: Run, place: Place, traced: Traced[]): Promise<Followed> {
  const now = await follow(run, place, traced);
  if (now.failed.length > 0) return now;
  return run.nothingToDo(`they are over by now: ${followedText(now)}`);
}

/** Where rounds send nothing, or never come to these, no receiver is what is wrong. */
async function mustSend(
  run: Run,
  place: Place,
  {
    status,
    traced,
    drained,
    backlog,
  }: { status: WebhookStatus; traced: Traced[]; drained: Drained; backlog: number },
): Promise<void> {
  const { rounds, failed, later } = drained;
  if (later || triedOf(failed, traced).length > 0) return;
  const made = countOf(rounds, 'round');
  const change =
    drained.backlog > backlog
      ? `grows, from ${backlog} to ${drained.backlog}: deliveries come faster than rounds send them`
      : `went from ${backlog} to ${drained.backlog}`;
  const idle = drained.tried === 0 && drained.succeeded + drained.terminal.length + drained.gone === 0;
  const why =
    idle && drained.backlog >= backlog
      ? `${made} answered well and sent none of ${deliveriesText(failed.length)}; the backlog ${change}`
      : `${made} of ${status.maxRounds} were not enough for ${deliveriesText(failed.length)}; the backlog ${change}`;
  run.fact('backlogAfter', drained.backlog);
  await run.page(
    `${place.service}: failed webhooks are not sent again (${why}). Look at the worker of the application that sends them, and how much one round sends.`,
  );
  throw verificationFailed(`Each delivery is tried: ${why}`);
}

async function conclude(
  run: Run,
  place: Place,
  status: WebhookStatus,
  drained: Drained,
  traced: Traced[],
): Promise<string> {
  const { succeeded, gone, attempts, backlog } = drained;
  const first = new Map(status.deliveries.map((one) => [one.id, one]));
  const terminal = drained.terminal.map((one) => ({
    ...one,
    target: first.get(one.id)?.target ?? one.target,
  }));
  run.fact('taken', succeeded);
  run.fact('givenUp', terminal.length);
  run.fact('attemptsMade', attempts);
  run.fact('backlogAfter', backlog);
  await run.verify(
    'Each has ended, after a bounded number of attempts',
    (act) => act.followWebhooks({ ...place, traced }),
    (now) => verdictOf(now, status),
  );
  if (terminal.length > 0) await tellGivenUp(run, place, terminal);
  const unknown = gone === 0 ? '' : `, ${gone} no longer listed`;
  return `${deliveriesText(status.deliveries.length)} of ${targetOf(place)} are over: ${succeeded} taken, ${terminal.length} given up${unknown}`;
}

function verdictOf(now: Followed, { maxAttempts, tellsEnds }: WebhookStatus) {
  const detail = followedText(now);
  if (now.failed.length > 0) return { ok: false, detail };
  if (now.gone > 0 && tellsEnds)
    return { ok: false, detail: `${detail}: of those nobody knows what became of them` };
  const over = now.terminal.filter(({ attempts }) => maxAttempts !== null && attempts > maxAttempts);
  if (over.length > 0)
    return {
      ok: false,
      detail: `${deliveriesText(over.length)} had more than ${maxAttempts} attempts, e.g. ${over[0]!.id} with ${over[0]!.attempts}`,
    };
  return { ok: true, detail };
}

/** Nobody sends these again. */
async function tellGivenUp(run: Run, place: Place, terminal: Delivery[]): Promise<void> {
  const why = [...new Set(terminal.map(({ error }) => error ?? 'nobody says why'))].slice(0, 3).join('; ');
  const where = targetsText(terminal);
  run.note('Finding: given up', `${where}: ${why}`, { failed: true });
  await run.announce(
    `${place.service}: ${deliveriesText(terminal.length)} were given up (${why}) and will not come any more: ${where}. Tell those who listen there what they have missed.`,
  );
}

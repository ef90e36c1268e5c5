import type { Delivery, Followed, WebhookStatus } from '../../../activities/delivery/webhooks';
import { targetOf, type Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { uncheckedOf } from '../../database/checks';
import { countOf, runbook, verificationFailed, type Run } from '../../kit';
import type { replayWebhookDeliveriesCard } from './card';
import { drain, follow, followedText, tracedOf, triedOf, type Drained } from './drain';
import { endpointsMended } from './people';
import { deliveriesText, planFor, statusText, targetsText } from './plan';

/** How often something is mended, and they are sent again, before the run gives up. */
const MAX_CYCLES = 3;

/** Has the application send failed webhooks again, until each is taken or given up. */
export const replayWebhookDeliveries = runbook<typeof replayWebhookDeliveriesCard>(
  'replayWebhookDeliveries',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    const status = await look(run, place);
    const told = new Set<string>();
    run.fact('failedBefore', status.failed);
    const unchecked = await uncheckedOf(run, place);
    let before: Followed | undefined;
    await run.gate(async () => {
      // What failed since is none of this plan; what is over by now makes it no other plan.
      if (before !== undefined) before = await stillFailing(run, place, status, told);
      before ??= { ...NOTHING, failed: status.deliveries, backlog: status.failed + status.waiting };
      return planFor(place, status, unchecked);
    });

    let [from, believed] = [before!, true];
    for (let cycle = 0; ; cycle += 1) {
      const drained = await run.exclusively(applicationIn(place), (fence) =>
        drain(run, place, fence, { status, before: from }),
      );
      await tellGivenUp(run, place, drained.terminal, told);
      if (drained.failed.length === 0) return conclude(run, place, status, drained);
      await mustSend(run, place, { status, from, drained });
      if (cycle === MAX_CYCLES)
        return run.needsHuman(
          `${deliveriesText(drained.failed.length)} of ${targetOf(place)} still fail, though what is wrong was looked for ${countOf(MAX_CYCLES, 'time')}, and they were sent again each time: ${targetsText(drained.failed)}`,
        );
      const tried = triedOf(drained.failed, from.failed);
      believed = await endpointsMended(run, place, { status, drained, tried, believed });
      from = await follow(run, place, status);
    }
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

async function stillFailing(
  run: Run,
  place: Place,
  status: WebhookStatus,
  told: Set<string>,
): Promise<Followed> {
  const now = await follow(run, place, status);
  await tellGivenUp(run, place, now.terminal, told);
  if (now.failed.length > 0) return now;
  return run.nothingToDo(`they are over by now: ${followedText(now)}`);
}

/** Where rounds send nothing, or never come to these, no receiver is what is wrong. */
async function mustSend(
  run: Run,
  place: Place,
  { status, from, drained }: { status: WebhookStatus; from: Followed; drained: Drained },
): Promise<void> {
  const { rounds, failed, later } = drained;
  const { backlog } = from;
  if (later || triedOf(failed, from.failed).length > 0) return;
  const made = countOf(rounds, 'round');
  const change =
    drained.backlog > backlog
      ? `grows, from ${backlog} to ${drained.backlog}: deliveries come faster than rounds send them`
      : `went from ${backlog} to ${drained.backlog}`;
  const idle = drained.tried === 0 && failed.length === from.failed.length;
  const due = failed.some(({ dueAt }) => dueAt !== null) ? '' : '; whether any of them is due, nobody says';
  const why =
    idle && drained.backlog >= backlog
      ? `${made} answered well and sent none of ${deliveriesText(failed.length)}; the backlog ${change}${due}`
      : `${made} of ${status.maxRounds} were not enough for ${deliveriesText(failed.length)}; the backlog ${change}`;
  run.fact('backlogAfter', drained.backlog);
  await run.page(
    `${place.service}: failed webhooks are not sent again (${why}). Look at the worker of the application that sends them, and how much one round sends.`,
  );
  throw verificationFailed(`Each delivery is tried: ${why}`);
}

async function conclude(run: Run, place: Place, status: WebhookStatus, drained: Drained): Promise<string> {
  const { succeeded, terminal, gone, attempts, backlog } = drained;
  run.fact('taken', succeeded);
  run.fact('givenUp', terminal.length);
  run.fact('attemptsMade', attempts);
  run.fact('backlogAfter', backlog);
  await run.verify(
    'Each has ended, after a bounded number of attempts',
    (act) => act.followWebhooks(tracedOf(place, status)),
    (now) => verdictOf(now, status),
  );
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

/** Nobody sends these again: said once, as soon as it is known, whatever becomes of the others. */
async function tellGivenUp(run: Run, place: Place, ended: Delivery[], told: Set<string>): Promise<void> {
  const terminal = ended.filter(({ id }) => !told.has(id));
  if (terminal.length === 0) return;
  terminal.forEach(({ id }) => told.add(id));
  const why = [...new Set(terminal.map(({ error }) => error ?? 'nobody says why'))].slice(0, 3).join('; ');
  const where = targetsText(terminal);
  run.note('Finding: given up', `${where}: ${why}`, { failed: true });
  await run.announce(
    `${place.service}: ${deliveriesText(terminal.length)} ${terminal.length === 1 ? 'was' : 'were'} given up (${why}) and will not come any more: ${where}. Tell those who listen there what they have missed.`,
  );
}

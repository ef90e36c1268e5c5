import { ApplicationFailure } from '@temporalio/workflow';
import type { Resent } from '../../../activities/payments/stripe/resend';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import type { EventLook, FollowedEvents } from '../../../activities/payments/stripe/undelivered';
import { repairKey } from '../../bookings/take-back';
import { countOf, type Run } from '../../kit';
import { receiverMended } from '../receiver';
import { inRounds } from '../rounds';
import { named } from './plan';

/** What became of the missing events. */
export interface Delivered {
  arrived: number;
  /** Stripe has them no more. */
  lost: string[];
  /** Stripe does not send them: `event evt_1: why`. */
  refused: string[];
  /** Sent, and not recorded. */
  never: string[];
  /** Not sent, because none of those before was recorded. */
  unsent: string[];
}

/** How often something is mended, and they are sent again, before people get them. */
const MAX_CYCLES = 3;

/** Sees to it that events are taken, and has Stripe send those that are missing. */
export async function deliver(run: Run, place: Place, look: EventLook): Promise<Delivered> {
  const planned = look.missing.map(({ id }) => id);
  if (planned.length === 0 && look.endpoint.enabled)
    return { arrived: 0, lost: [], refused: [], never: [], unsent: [] };
  const lost: string[] = [];
  const refused: Resent['refused'] = [];
  const tried = new Set<string>();
  let [open, round] = [planned, 0];
  for (let cycle = 0; cycle < MAX_CYCLES; cycle += 1) {
    const mended = await receiverMended(run, place, (act) => act.checkStripeReceiver(place));
    if (open.length === 0) break;
    if (cycle > 0 && !mended) await handlerMended(run, place, open, tried);
    const sent = await run.exclusively(
      targetOf(place),
      (fence) => sendInRounds(run, place, fence, { look, open, round, tried }),
      look.fenceToken,
    );
    lost.push(...sent.lost);
    refused.push(...sent.refused);
    ({ open, round } = sent);
    if (open.length === 0) break;
  }
  const gone = new Set([...lost, ...refused.map(({ id }) => id), ...open]);
  const wanted = planned.filter((id) => !gone.has(id));
  if (wanted.length > 0) await verifyOnce(run, place, wanted);
  return {
    arrived: wanted.length,
    lost,
    refused: refused.map(({ id, why }) => `event ${id}: ${why}`),
    never: open.filter((id) => tried.has(id)),
    unsent: open.filter((id) => !tried.has(id)),
  };
}

async function sendInRounds(
  run: Run,
  place: Place,
  fence: Fence,
  { look, open, round, tried }: { look: EventLook; open: string[]; round: number; tried: Set<string> },
): Promise<{ open: string[]; round: number; lost: string[]; refused: Resent['refused'] }> {
  const { maxRounds, patienceMs, lookEveryMs } = look;
  const lost: string[] = [];
  const refused: Resent['refused'] = [];
  const done = await inRounds(
    {
      maxRounds,
      patienceMs,
      lookEveryMs,
      send: async (events, number) => {
        const resent = await run.step(
          `Round ${number}: have ${countOf(events.length, 'event')} sent again`,
          (act) => act.resendStripeEvents({ ...place, events, run: repairKey(), round: number, fence }),
          {
            kind: 'mutate',
            undo: {
              irreversible: 'Stripe was asked to send events again',
              unless: ({ sent }) => sent.length === 0,
            },
            describe: resentText,
          },
        );
        lost.push(...resent.lost);
        resent.sent.forEach((id) => tried.add(id));
        refused.push(...resent.refused);
        if (tried.size === 0) refuseWhereNoneIsSent(place, resent);
        return [...resent.recorded, ...resent.lost, ...resent.refused.map(({ id }) => id)];
      },
      open: async (events) =>
        (await run.look('Which are recorded?', (act) => act.followStripeEvents({ ...place, events })))
          .missing,
    },
    open,
    round,
  );
  run.note(
    `Recorded after round ${done.round}`,
    `${open.length - done.open.length - lost.length - refused.length} of ${open.length}`,
  );
  return { ...done, lost, refused };
}

function resentText({ sent, recorded, lost, refused }: Resent): string {
  return [
    `${sent.length} sent, ${recorded.length} recorded by then, ${lost.length} that Stripe has no more`,
    ...(refused.length > 0 ? [`${refused.length} refused, the last: ${refused.at(-1)!.why}`] : []),
  ].join(', ');
}

/** Where it is all of them it is not the events: a key that may only read, for instance. */
function refuseWhereNoneIsSent(place: Place, { sent, recorded, lost, refused }: Resent): void {
  if (refused.length === 0 || sent.length + recorded.length + lost.length > 0) return;
  throw ApplicationFailure.nonRetryable(
    `Stripe sends none of ${named(refused.map(({ id }) => id))} to ${targetOf(place)} again: ${refused.at(-1)!.why} Correct the key or the endpoint of stripe in the configuration, then start again`,
    'HttpFailed',
  );
}

/** A test event is taken, or nobody sends one, and these are not recorded. */
async function handlerMended(
  run: Run,
  place: Place,
  open: string[],
  tried: ReadonlySet<string>,
): Promise<void> {
  const sent = open.filter((id) => tried.has(id));
  const waiting = open.length - sent.length;
  const others = waiting === 0 ? '' : ` ${countOf(waiting, 'other event')} not sent yet.`;
  await run.task(
    `Stripe has sent ${named(sent)} to ${targetOf(place)} again, and the application has not recorded ${sent.length === 1 ? 'it' : 'them'}.${others} Look in the dashboard of Stripe what the endpoint answered, and at the log of the handler. Say that it is mended, and what is missing then is sent again.`,
  );
}

async function verifyOnce(run: Run, place: Place, events: string[]): Promise<void> {
  await run.verify(
    'Each is recorded, and once',
    (act) => act.followStripeEvents({ ...place, events }),
    (now) => ({ ok: now.missing.length === 0 && now.doubled.length === 0, detail: followedText(now) }),
  );
}

function followedText({ arrived, missing, doubled }: FollowedEvents): string {
  return [
    `${countOf(arrived.length, 'event')} recorded`,
    ...(missing.length > 0 ? [`not recorded: ${named(missing)}`] : []),
    ...(doubled.length > 0 ? [`applied more than once: ${named(doubled)}`] : []),
  ].join('; ');
}

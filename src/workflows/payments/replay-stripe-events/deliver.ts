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
  /** Sent, and not recorded. */
  never: string[];
}

/** How often something is mended, and they are sent again, before people get them. */
const MAX_CYCLES = 3;

/** Sees to it that events are taken, and has Stripe send those that are missing. */
export async function deliver(run: Run, place: Place, look: EventLook): Promise<Delivered> {
  const planned = look.missing.map(({ id }) => id);
  if (planned.length === 0 && look.endpoint.enabled) return { arrived: 0, lost: [], never: [] };
  const lost: string[] = [];
  let [open, round] = [planned, 0];
  for (let cycle = 0; cycle < MAX_CYCLES; cycle += 1) {
    const mended = await receiverMended(run, place, (act) => act.checkStripeReceiver(place));
    if (open.length === 0) break;
    if (cycle > 0 && !mended) await handlerMended(run, place, open);
    const sent = await run.exclusively(
      targetOf(place),
      (fence) => sendInRounds(run, place, fence, { look, open, round }),
      look.fenceToken,
    );
    lost.push(...sent.lost);
    ({ open, round } = sent);
    if (open.length === 0) break;
  }
  const gone = new Set([...lost, ...open]);
  const wanted = planned.filter((id) => !gone.has(id));
  if (wanted.length > 0) await verifyOnce(run, place, wanted);
  return { arrived: wanted.length, lost, never: open };
}

async function sendInRounds(
  run: Run,
  place: Place,
  fence: Fence,
  { look, open, round }: { look: EventLook; open: string[]; round: number },
): Promise<{ open: string[]; round: number; lost: string[] }> {
  const { maxRounds, patienceMs, lookEveryMs } = look;
  const lost: string[] = [];
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
            undo: { irreversible: 'Stripe was asked to send events again' },
            describe: ({ sent, recorded, lost: gone }) =>
              `${sent.length} sent, ${recorded.length} recorded by then, ${gone.length} that Stripe has no more`,
          },
        );
        lost.push(...resent.lost);
        return [...resent.recorded, ...resent.lost];
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
    `${open.length - done.open.length - lost.length} of ${open.length}`,
  );
  return { ...done, lost };
}

/** A test event is taken, or nobody sends one, and these are not recorded. */
async function handlerMended(run: Run, place: Place, open: string[]): Promise<void> {
  await run.task(
    `Stripe has sent ${named(open)} to ${targetOf(place)} again, and the application has not recorded ${open.length === 1 ? 'it' : 'them'}. Look in the dashboard of Stripe what the endpoint answered, and at the log of the handler. Say that it is mended, and what is missing then is sent again.`,
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

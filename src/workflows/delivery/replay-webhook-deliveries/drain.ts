import { sleep } from '@temporalio/workflow';
import type { Delivery, Followed, Traced, WebhookStatus } from '../../../activities/delivery/webhooks';
import type { Fence, Place } from '../../../contract/place';
import { verifyHealth, verifySmoke } from '../../database/checks';
import { duration, type Run } from '../../kit';
import { causeOfFailure, isLasting } from './causes';
import { deliveriesText } from './plan';

export interface Drained extends Followed {
  rounds: number;
  /** Attempts of this draining. */
  tried: number;
  /** Nothing is due within the time that the run waits. */
  later: boolean;
}

/** More rounds that send nothing prove nothing more. */
const MAX_IDLE = 3;
/** Each one uses up an attempt. */
const MAX_FRUITLESS = 2;

/** Has the application send, round by round, until all that are followed are over or a further round is no use. */
export async function drain(
  run: Run,
  place: Place,
  fence: Fence,
  { status, before }: { status: WebhookStatus; before: Followed },
): Promise<Drained> {
  let now = before;
  let [rounds, idle, fruitless, later] = [0, 0, 0, false];
  while (now.failed.length > 0 && rounds < status.maxRounds && idle < MAX_IDLE && fruitless < MAX_FRUITLESS) {
    const waitMs = waitFor(now.failed, status, rounds);
    later = waitMs > status.patienceMs;
    if (later) break;
    if (waitMs > 0) await sleep(waitMs);
    rounds += 1;
    await run.step(
      `Round ${rounds} of ${status.maxRounds}`,
      (act) => act.runWebhookDeliveries({ ...place, fence }),
      {
        kind: 'mutate',
        undo: { irreversible: 'webhooks were sent again' },
        describe: ({ detail }) => detail,
      },
    );
    const last = now;
    now = await follow(run, place, status);
    const tried = now.attempts - last.attempts;
    const ended = last.failed.length - now.failed.length;
    idle = tried === 0 && ended === 0 ? idle + 1 : 0;
    fruitless = tried > 0 && ended === 0 ? fruitless + 1 : 0;
    if (fruitless > 0 && triedOf(now.failed, before.failed).every((one) => isLasting(causeOfFailure(one))))
      break;
  }
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  return { ...now, rounds, later, tried: now.attempts - before.attempts };
}

export async function follow(run: Run, place: Place, status: WebhookStatus): Promise<Followed> {
  const now = await run.step('What became of them', (act) => act.followWebhooks(tracedOf(place, status)), {
    kind: 'long',
    undo: 'read-only',
    describe: followedText,
  });
  const first = new Map(status.deliveries.map((one) => [one.id, one]));
  // Of one that is no longer listed nobody says where it goes.
  const whole = (one: Delivery): Delivery => {
    const { endpoint, target } = first.get(one.id) ?? one;
    return one.endpoint === '' ? { ...one, endpoint, target } : one;
  };
  return { ...now, terminal: now.terminal.map(whole), failed: now.failed.map(whole) };
}

/** Those that the run follows, as `followWebhooks` takes them. */
export function tracedOf(place: Place, { deliveries }: WebhookStatus): Place & { traced: Traced[] } {
  return { ...place, traced: deliveries.map(({ id, attempts }) => ({ id, attempts })) };
}

export function followedText({ succeeded, terminal, failed, gone, attempts, backlog }: Followed): string {
  return [
    `${succeeded} taken`,
    `${terminal.length} given up`,
    ...(gone > 0 ? [`${gone} no longer listed`] : []),
    `${failed.length} not over`,
    `${attempts} attempts since`,
    `${deliveriesText(backlog)} open in all`,
  ].join(', ');
}

/** Those that were tried since they were as in `before`. */
export function triedOf(failed: Delivery[], before: Traced[]): Delivery[] {
  const first = new Map(before.map(({ id, attempts }) => [id, attempts]));
  return failed.filter(({ id, attempts }) => attempts > (first.get(id) ?? attempts));
}

/** Until the first of them is due; where nobody says when, the usual time between two rounds. */
export function waitFor(failed: Delivery[], { roundEveryMs }: WebhookStatus, rounds: number): number {
  const due = failed.flatMap(({ dueAt }) => (dueAt === null ? [] : [Date.parse(dueAt)]));
  const usual = rounds === 0 ? 0 : roundEveryMs;
  if (due.length < failed.length) return usual;
  const firstMs = due.reduce((a, b) => Math.min(a, b)) - Date.now();
  return firstMs > 0 ? Math.max(firstMs, usual) : usual;
}

export function laterText(failed: Delivery[], patienceMs: number): string {
  const due = failed.map(({ dueAt }) => dueAt ?? '').sort()[0] ?? '';
  return `the next attempt is at ${due}, later than this run waits (${duration(patienceMs)})`;
}

import { sleep } from '@temporalio/workflow';
import type { FailedEvent, WebhookLook } from '../../../activities/payments/webhooks/event-log';
import type { Replayed } from '../../../activities/payments/webhooks/replay';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type Run } from '../../kit';
import { receiverMended } from '../receiver';
import { inRounds } from '../rounds';
import { eventsText } from './plan';

/** How often something is mended, and they are replayed again, before people get them. */
const MAX_CYCLES = 3;
const MAX_LOOKS = 30;

/** What became of the failed events. */
export interface Replays {
  applied: number;
  /** Of these another row was applied meanwhile. */
  superseded: number;
  open: FailedEvent[];
  /** Those of `open` that the application was never asked for. */
  untried: number;
}

/** Sees to it that events are taken, and replays those that failed. */
export async function replay(run: Run, place: Place, look: WebhookLook): Promise<Replays> {
  const { failed } = look;
  const tried = new Set<string>();
  const byId = new Map(failed.map((one) => [one.id, one]));
  let [open, round] = [failed.map(({ id }) => id), 0];
  const events = (ids: string[]) => ids.map((id) => byId.get(id)!);
  for (let cycle = 0; cycle < MAX_CYCLES && open.length > 0; cycle += 1) {
    const mended = await receiverMended(run, place, (act) => act.checkPaymentReceiver(place));
    if (cycle > 0 && !mended) await handlerMended(run, place, events(open), tried);
    ({ open, round } = await run.exclusively(
      targetOf(place),
      (fence) => replayInRounds(run, place, fence, { look, open, round, events, tried }),
      look.fenceToken,
    ));
  }
  const still = new Set(open);
  const over = failed.filter(({ id }) => !still.has(id));
  const superseded = over.length === 0 ? 0 : await verifyApplied(run, place, over, look);
  return {
    applied: over.length - superseded,
    superseded,
    open: events(open),
    untried: open.filter((id) => !tried.has(id)).length,
  };
}

interface Work {
  look: WebhookLook;
  open: string[];
  round: number;
  events: (ids: string[]) => FailedEvent[];
  /** Those that the application was asked for. */
  tried: Set<string>;
}

async function replayInRounds(
  run: Run,
  place: Place,
  fence: Fence,
  { look, open, round, events, tried }: Work,
): Promise<{ open: string[]; round: number }> {
  const { maxRounds, patienceMs, lookEveryMs } = look;
  const done = await inRounds(
    {
      maxRounds,
      patienceMs,
      lookEveryMs,
      send: async (ids, number) => {
        const { asked, refused } = await run.step(
          `Round ${number}: replay ${countOf(ids.length, 'event')}`,
          (act) =>
            act.replayWebhookEvents({
              ...place,
              events: events(ids).map(({ id, event }) => ({ id, event })),
              fence,
            }),
          {
            kind: 'mutate',
            undo: {
              irreversible: 'the application was asked to apply events',
              unless: (done) => done.asked.length + done.refused.length === 0,
            },
            describe: replayedText,
          },
        );
        for (const id of [...asked, ...refused.map((one) => one.id)]) tried.add(id);
        return [];
      },
      open: async (ids) => {
        const { applied, superseded } = await run.look('Which are applied?', (act) =>
          act.followPaymentWebhooks({ ...place, ids }),
        );
        const known = new Set([...applied, ...superseded]);
        return ids.filter((id) => !known.has(id));
      },
    },
    open,
    round,
  );
  run.note(`Applied after round ${done.round}`, `${open.length - done.open.length} of ${open.length}`);
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  return done;
}

function replayedText({ asked, passed, refused }: Replayed): string {
  return [
    `${asked.length} asked for`,
    `${passed.length} no longer failed by then`,
    ...(refused.length > 0 ? [`${refused.length} refused, the last: ${refused.at(-1)!.why}`] : []),
  ].join(', ');
}

/** A test event is taken, or nobody sends one, and these are not applied. */
async function handlerMended(
  run: Run,
  place: Place,
  open: FailedEvent[],
  tried: ReadonlySet<string>,
): Promise<void> {
  const asked = open.filter(({ id }) => tried.has(id));
  const waiting = open.length - asked.length;
  const others = waiting === 0 ? '' : ` ${countOf(waiting, 'other event')} it was not asked for yet.`;
  await run.task(
    `${targetOf(place)} was asked to apply ${eventsText(asked)}, and has not done it.${others} Look at the last error of each in the event log, and at the log of the handler. Say that it is mended, and what has not been applied then is replayed again.`,
  );
}

/** What a replay has not done, or has done twice, shows in the ledger. Entries may follow a little later. */
async function verifyApplied(
  run: Run,
  place: Place,
  over: FailedEvent[],
  { patienceMs, lookEveryMs }: WebhookLook,
): Promise<number> {
  const ids = over.map(({ id }) => id);
  const events = over.map(({ event }) => event);
  const { log } = await run.verify(
    'Each was applied, with its ledger entries',
    async (act) => {
      const look = async () => ({
        log: await act.followPaymentWebhooks({ ...place, ids }),
        ledger: (await act.readPaymentAftermath({ ...place, events })).ledger,
      });
      const everyMs = Math.max(lookEveryMs, patienceMs / MAX_LOOKS);
      let now = await look();
      for (let waitedMs = 0; (now.ledger?.missing ?? 0) > 0 && waitedMs < patienceMs; waitedMs += everyMs) {
        await sleep(everyMs);
        now = await look();
      }
      return now;
    },
    ({ log: { applied, superseded }, ledger }) => {
      const not = ids.length - applied.length - superseded.length;
      const adds = ledger === null || ledger.missing + ledger.tooMany === 0;
      const entries =
        ledger === null
          ? 'the ledger is not looked at'
          : adds
            ? 'with their ledger entries'
            : ledger.named.join(', ');
      return {
        ok: not === 0 && adds,
        detail: `${applied.length} of ${ids.length - superseded.length} applied; ${entries}`,
      };
    },
  );
  if (log.superseded.length > 0)
    run.note('Left alone', `another row of the same event was applied: ${log.superseded.join(', ')}`);
  return log.superseded.length;
}

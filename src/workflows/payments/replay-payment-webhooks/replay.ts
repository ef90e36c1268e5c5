import type { FailedEvent, WebhookLook } from '../../../activities/payments/webhooks/event-log';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type Run } from '../../kit';
import { receiverMended } from '../receiver';
import { inRounds } from '../rounds';
import { eventsText } from './plan';

/** How often something is mended, and they are replayed again, before people get them. */
const MAX_CYCLES = 3;

/** Sees to it that events are taken, and replays those that failed. Returns those that were not applied. */
export async function replay(run: Run, place: Place, look: WebhookLook): Promise<FailedEvent[]> {
  const { failed } = look;
  const byId = new Map(failed.map((one) => [one.id, one]));
  let [open, round] = [failed.map(({ id }) => id), 0];
  const events = (ids: string[]) => ids.map((id) => byId.get(id)!);
  for (let cycle = 0; cycle < MAX_CYCLES && open.length > 0; cycle += 1) {
    const mended = await receiverMended(run, place, (act) => act.checkPaymentReceiver(place));
    if (cycle > 0 && !mended) await handlerMended(run, place, events(open));
    ({ open, round } = await run.exclusively(
      targetOf(place),
      (fence) => replayInRounds(run, place, fence, { look, open, round, events }),
      look.fenceToken,
    ));
  }
  const still = new Set(open);
  const applied = failed.filter(({ id }) => !still.has(id));
  if (applied.length > 0) await verifyApplied(run, place, applied);
  return events(open);
}

interface Work {
  look: WebhookLook;
  open: string[];
  round: number;
  events: (ids: string[]) => FailedEvent[];
}

async function replayInRounds(
  run: Run,
  place: Place,
  fence: Fence,
  { look, open, round, events }: Work,
): Promise<{ open: string[]; round: number }> {
  const { maxRounds, patienceMs, lookEveryMs } = look;
  const done = await inRounds(
    {
      maxRounds,
      patienceMs,
      lookEveryMs,
      send: async (ids, number) => {
        await run.step(
          `Round ${number}: replay ${countOf(ids.length, 'event')}`,
          (act) =>
            act.replayWebhookEvents({
              ...place,
              events: events(ids).map(({ id, event }) => ({ id, event })),
              fence,
            }),
          {
            kind: 'mutate',
            undo: { irreversible: 'the application was asked to apply events' },
            describe: ({ asked, passed, refused }) =>
              [
                `${asked.length} asked for`,
                `${passed.length} no longer failed by then`,
                ...(refused.length > 0
                  ? [`${refused.length} refused, the last: ${refused.at(-1)!.why}`]
                  : []),
              ].join(', '),
          },
        );
        return [];
      },
      open: async (ids) => {
        const { applied } = await run.look('Which are applied?', (act) =>
          act.followPaymentWebhooks({ ...place, ids }),
        );
        const known = new Set(applied);
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

/** A test event is taken, or nobody sends one, and these are not applied. */
async function handlerMended(run: Run, place: Place, open: FailedEvent[]): Promise<void> {
  await run.task(
    `${targetOf(place)} was asked to apply ${eventsText(open)}, and has not done it. Look at the last error of each in the event log, and at the log of the handler. Say that it is mended, and what has not been applied then is replayed again.`,
  );
}

/** What a replay has not done, or has done twice, shows in the ledger. */
async function verifyApplied(run: Run, place: Place, applied: FailedEvent[]): Promise<void> {
  const events = applied.map(({ event }) => event);
  await run.verify(
    'Each was applied, with its ledger entries',
    async (act) => ({
      log: await act.followPaymentWebhooks({ ...place, ids: applied.map(({ id }) => id) }),
      ledger: (await act.readPaymentAftermath({ ...place, events })).ledger,
    }),
    ({ log, ledger }) => {
      const not = applied.length - log.applied.length;
      const adds = ledger === null || ledger.missing + ledger.tooMany === 0;
      const entries =
        ledger === null
          ? 'the ledger is not looked at'
          : adds
            ? 'with their ledger entries'
            : ledger.named.join(', ');
      return {
        ok: not === 0 && adds,
        detail: `${log.applied.length} of ${applied.length} applied; ${entries}`,
      };
    },
  );
}

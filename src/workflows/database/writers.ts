import type { LiveState } from '../../contract/database';
import { type Fence, type Place, targetOf } from '../../contract/place';
import { duration, type Run } from '../kit';

interface Which {
  place: Place;
  fence: Fence;
  /** As it is under the lease, before anything was stopped. */
  live: LiveState;
}

/** Who writes to the live database, whichever that is at the moment. */
export interface Writers {
  /** By the service's own command, or, where none is configured, by making the database read-only. */
  stop(): Promise<void>;
  /** Fails where somebody still writes. */
  verifyStopped(): Promise<void>;
  /** Safe to repeat. */
  resume(): Promise<void>;
  /** Says that they are stopped; undefined where they are not. */
  areStopped(): Promise<string | undefined>;
}

const STOP = 'Stop writes';
const RESUME = 'Resume writes';

/** Its way back is offered to people whenever going back stops before it. */
export function writersOf(run: Run, { place, fence, live }: Which): Writers {
  const target = targetOf(place);
  let stopped: 'no' | 'perhaps' | 'by command' | 'read-only' = 'no';

  async function resume(): Promise<void> {
    await run.step(
      RESUME,
      async (act) => {
        const { ended, takesWrites } = await act.openToWriters({
          ...place,
          fence,
          setting: live.readOnlySetting,
        });
        const { ran, detail } = await act.runServiceCommand({ ...place, command: 'resumeWrites' });
        const state = takesWrites ? 'takes writes' : 'is read-only, as it was before';
        return {
          detail: [
            `${target} ${state}`,
            ended > 0 ? `${ended} read-only sessions were ended` : '',
            ran ? detail : '',
          ]
            .filter((part) => part !== '')
            .join('; '),
        };
      },
      { kind: 'long', undo: { takesBack: STOP }, describe: ({ detail }) => detail },
    );
    stopped = 'no';
  }

  async function areStopped(): Promise<string | undefined> {
    if (stopped === 'no') return undefined;
    if (stopped === 'by command') return `Writes to ${target} are stopped by restore.stopWrites`;
    const now = await run.look('Does it take writes?', (act) => act.inspectLive({ ...place, briefly: true }));
    return now.readOnlySetting === 'on' || stopped === 'perhaps'
      ? `Writes to ${target} are stopped${stopped === 'perhaps' ? ', perhaps' : ''}`
      : undefined;
  }

  async function stop(): Promise<void> {
    await run.step(
      STOP,
      async (act) => {
        stopped = 'perhaps';
        const { ran, detail } = await act.runServiceCommand({ ...place, command: 'stopWrites' });
        if (ran) {
          stopped = 'by command';
          return { detail };
        }
        const { ended } = await act.closeToWriters({ ...place, fence });
        stopped = 'read-only';
        return {
          detail: `${target} is read-only, ${ended} sessions were ended: no restore.stopWrites is configured`,
        };
      },
      {
        kind: 'long',
        describe: ({ detail }) => detail,
        undo: { title: RESUME, back: resume, offer: areStopped },
      },
    );
  }

  async function verifyStopped(): Promise<void> {
    if (live.condition !== 'there') return;
    await run.verify(
      'Nobody writes any more',
      (act) => act.watchWrites({ ...place, sessionsStay: stopped === 'by command' }),
      ({ quiet, quietMs, changes, writers }) => ({
        ok: quiet,
        detail: quiet
          ? `nothing has changed for ${duration(quietMs)}`
          : `${changes} rows changed while it was watched${writers.length === 0 ? '' : `, by ${writers.join(', ')}`}`,
      }),
    );
  }

  return { stop, verifyStopped, resume, areStopped };
}

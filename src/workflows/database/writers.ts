import type { LiveState } from '../../contract/database';
import { type Fence, type Place, targetOf } from '../../contract/place';
import type { Run } from '../kit';

interface Writers {
  place: Place;
  fence: Fence;
  live: LiveState;
}

/** How writes were stopped, which says how they are resumed. */
export interface Stopped {
  /** Takes writes again; safe to repeat. Writes to whichever database is live then. */
  resume: () => Promise<unknown>;
}

const STOP = 'Stop writes';
const RESUME = 'Resume writes';

/**
 * Nobody writes to the live database any more when this returns: by the service's own command, or, where none is
 * configured, by making the database read-only, and by having watched it. Its way back is offered to people whenever
 * going back stops before it.
 */
export async function stopWrites(run: Run, { place, fence, live }: Writers): Promise<Stopped> {
  const target = targetOf(place);
  const resume = () =>
    run.step(
      RESUME,
      async (act) => {
        const { ended } = await act.openToWriters({ ...place, fence, setting: live.readOnlySetting });
        const { ran, detail } = await act.runServiceCommand({ ...place, command: 'resumeWrites' });
        return { detail: ran ? detail : `${target} takes writes; ${ended} read-only sessions were ended` };
      },
      { kind: 'long', undo: { takesBack: STOP }, describe: ({ detail }) => detail },
    );
  await run.step(
    STOP,
    async (act) => {
      const { ran, detail } = await act.runServiceCommand({ ...place, command: 'stopWrites' });
      if (ran) return { detail };
      const { ended } = await act.closeToWriters({ ...place, fence });
      return {
        detail: `${target} is read-only, ${ended} sessions were ended: no restore.stopWrites is configured`,
      };
    },
    {
      kind: 'long',
      describe: ({ detail }) => detail,
      undo: { title: RESUME, back: resume, offer: `Writes to ${target} are stopped` },
    },
  );
  if (live.condition === 'there') await watchWrites(run, place);
  return { resume };
}

async function watchWrites(run: Run, place: Place): Promise<void> {
  await run.verify(
    'Nobody writes any more',
    (act) => act.watchWrites(place),
    ({ quiet, changes, writers }) => ({
      ok: quiet,
      detail: quiet
        ? 'nothing has changed for three seconds'
        : `${changes} rows changed within half a minute${writers.length === 0 ? '' : `, by ${writers.join(', ')}`}`,
    }),
  );
}

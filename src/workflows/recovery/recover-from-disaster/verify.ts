import { databaseIn } from '../../../contract/place';
import { invariantsHold, verifySmoke } from '../../database/checks';
import { countOf } from '../../kit';
import { readOthers } from './assess';
import type { Restored } from './database';
import type { Recovery } from './recovery';

/** What customers need, and what others are needed for; each is looked at, whatever came of the one before. */
export async function verifyWhole(recovery: Recovery, { place: here }: Restored): Promise<void> {
  const { run, place, open } = recovery;
  const flows = await run.attempt(() => verifySmoke(run, place));
  if (!flows.ok) open.push(`critical flows: ${flows.why}`);
  const data = await run.attempt(() =>
    run.verify(
      'Invariants hold',
      (act) => act.checkInvariants({ database: databaseIn(here) }),
      invariantsHold,
    ),
  );
  if (!data.ok) open.push(`the data: ${data.why}. recoverFromCorruption or a person has to look at it`);
  await verifyOthers(recovery);
  await verifyWebhooks(recovery);
}

/** Nothing of ours, so nothing that was to be recovered; whoever reads the end of it must know. */
async function verifyOthers({ run, place, remarks }: Recovery): Promise<void> {
  const others = await readOthers(run, place);
  if (others.found === undefined) {
    remarks.push(`services of others were not looked at: ${others.why}`);
    return;
  }
  for (const { name, state, detail, contact } of others.found) {
    if (state === 'healthy') continue;
    const where = contact === undefined ? '' : `; its support: ${contact}`;
    run.note(`${name} is ${state === 'unknown' ? 'not known to be well' : 'not well'}`, `${detail}${where}`, {
      failed: true,
    });
    remarks.push(`${name} ${detail}${where}`);
  }
}

async function verifyWebhooks({ run, place, remarks }: Recovery): Promise<void> {
  let failed = 0;
  const { ok, why } = await run.attempt(async () => {
    ({ failed } = await run.step('Webhooks that failed', (act) => act.readWebhooks(place), {
      describe: (found) => `${found.failed} failed, ${found.waiting} waiting`,
    }));
  });
  if (!ok) remarks.push(`webhooks were not looked at: ${why}`);
  else if (failed > 0)
    remarks.push(`${countOf(failed, 'webhook')} failed: replayWebhookDeliveries sends them again`);
}

import { isCancellation } from '@temporalio/workflow';
import { targetOf, type Place } from '../../../contract/place';
import type { Run } from '../../kit';
import type { Wanted } from './plan';
import { tellFailures, type SoFar } from './so-far';
import { nextOf, takeOutUntil } from './take-out';

const SWAP = 'swap it now';
const LATER = 'not now';
/** What is due so soon is retired before anybody is asked: a question that is taken back has to be asked again. */
const SOON_MS = 5 * 60_000;

/**
 * Whether a person has it swapped now. After what asks nobody: who is asked may take hours. One about which nobody decides keeps
 * no other from being asked about.
 */
export async function agreed(run: Run, place: Place, { secret }: Wanted, so: SoFar): Promise<boolean> {
  await takeOutUntil(run, place, so, Date.now() + SOON_MS);
  await run.announce(
    `${place.service}: ${secret} of ${targetOf(place)} is about to be swapped, when somebody says so. From then on whoever still has the former version is refused.`,
  );
  const question = `${secret} of ${targetOf(place)} has no time in which two versions are accepted. Swap it now?`;
  const choice = await askWhileRetiring(run, place, question, so);
  if (choice === SWAP) return true;
  if (choice === null) so.failures.push(`${secret}: nobody decided in time about its swap`);
  else {
    so.declined.push(secret);
    run.note(`${secret} stays as it is`, `as decided: "${choice}"`);
  }
  return false;
}

/**
 * A former version of another secret, which may have leaked, must not be accepted for as long as nobody answers. Null where
 * nobody has.
 */
async function askWhileRetiring(run: Run, place: Place, question: string, so: SoFar): Promise<string | null> {
  for (;;) {
    await tellFailures(run, place, so);
    const choice = await run.askUnless(dueCheck(so), question, [SWAP, { harmless: LATER }]).catch(nobody);
    if (choice !== undefined) return choice;
    await takeOutUntil(run, place, so, Date.now());
  }
}

function dueCheck(so: SoFar) {
  const next = nextOf(so);
  if (next === undefined) return undefined;
  const { retireAt, status } = next;
  return {
    title: `Is a former version of ${status.secret} due?`,
    everyMs: Math.max(1, retireAt - Date.now()),
    call: () => Promise.resolve({ ok: Date.now() >= retireAt, detail: 'its time' }),
  };
}

function nobody(error: unknown): null {
  if (isCancellation(error)) throw error;
  return null;
}

import { condition, isCancellation } from '@temporalio/workflow';
import type { Containment } from '../../../activities/security/containment';
import { targetOf, type Place } from '../../../contract/place';
import { causeOf, utc, type Run } from '../../kit';
import type { Log } from './plan';

/** Work of people, and until when it must be done. */
export interface Duty {
  name: string;
  text: string;
  /** In milliseconds since 1970. */
  dueAt: number;
}

export function dutiesOf(
  run: Run,
  place: Place,
  { authoritiesMs, usersMs }: Containment,
  { startedAt, scope, left }: { startedAt: number; scope: string; left: string[] },
): Duty[] {
  const where = targetOf(place);
  const duty = (name: string, text: string, forMs: number): Duty => ({
    name,
    text,
    dueAt: startedAt + forMs,
  });
  return [
    // Nothing is more urgent; of what is due at once the first is done first.
    ...left.map((text) => duty(text, `${where}: ${text}.`, Math.min(authoritiesMs, usersMs))),
    duty(
      'authorities',
      `Report the incident on ${where} to the authorities, where that is required. Scope so far: ${scope}.`,
      authoritiesMs,
    ),
    duty(
      'users',
      `Tell the users of ${where} whose data is concerned, and what they should do. Scope so far: ${scope}.`,
      usersMs,
    ),
    duty(
      'patches',
      `Apply the security patches for ${where}, update the measures that failed, and verify the fix.`,
      usersMs,
    ),
    duty(
      'timeline',
      `Write the timeline of the incident on ${where}; \`runbooks report ${run.id}\` has what this run did and when.`,
      usersMs,
    ),
  ].sort((a, b) => a.dueAt - b.dueAt);
}

/** Asks for one after the other, the most urgent first. Of each, people are reminded whether it is its turn or not. */
export async function seeToDuties(
  run: Run,
  { service }: Place,
  { rung, remindMs }: Containment,
  duties: Duty[],
  log: Log,
): Promise<void> {
  const done = new Set<Duty>();
  let over = false;
  const remind = async (one: Duty): Promise<void> => {
    for (const at of [one.dueAt - remindMs, one.dueAt]) {
      if (await condition(() => over || done.has(one), Math.max(1, at - Date.now()))) return;
      await run.page(
        `${service}: not done yet, and due at ${utc(new Date(one.dueAt).toISOString())}: ${one.text}`,
        { rung },
      );
    }
  };
  for (const one of duties) void remind(one).catch(() => undefined);
  try {
    for (const one of duties) {
      if (await isDone(run, one)) done.add(one);
      else log.failed.push(`nobody has seen to it in time: ${one.name}`);
    }
  } finally {
    over = true;
  }
}

/** A task is open for as long as the service lets one be, and then asked for anew until it is due. */
async function isDone(run: Run, { text, dueAt }: Duty): Promise<boolean> {
  do {
    try {
      await run.task(`${text} Due at ${utc(new Date(dueAt).toISOString())}.`);
      return true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      run.note('Not done in time', causeOf(error).message, { failed: true });
    }
  } while (Date.now() < dueAt);
  return false;
}
